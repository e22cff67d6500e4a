// What this browser has seen of the chat. The server forgets a message once
// it is acknowledged, so a page that wants to show it after a reload keeps it
// itself.

const KEEP = 300;

export class History {
    #name;
    #messages = new Map(); // send_user_id and send_id -> message

    constructor(user, chatId) {
        this.#name = `chat-demo:${chatId}:${user}`;
        try {
            const stored = JSON.parse(localStorage.getItem(this.#name));
            for (const message of stored ?? []) {
                this.#messages.set(identity(message), message);
            }
        } catch {
            // No storage, or not ours: begin empty.
        }
    }

    get messages() {
        return [...this.#messages.values()];
    }

    find(message) {
        return this.#messages.get(identity(message));
    }

    /** Adds a message or changes the one with the same identity. */
    put(message) {
        const id = identity(message);
        const whole = { ...this.#messages.get(id), ...message };
        this.#messages.set(id, whole);
        if (this.#messages.size > KEEP) {
            this.#messages.delete(this.#messages.keys().next().value);
        }
        this.#save();
        return whole;
    }

    clear() {
        this.#messages.clear();
        this.#save();
    }

    #save() {
        try {
            localStorage.setItem(this.#name, JSON.stringify(this.messages));
        } catch {
            // Full or forbidden: the page works, a reload forgets.
        }
    }
}

// Two users may use the same send_id.
function identity({ send_user_id: user, send_id: id }) {
    return `${user}\n${id}`;
}
