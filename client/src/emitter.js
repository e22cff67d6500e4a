// Named events with any number of listeners. A listener that throws disturbs
// neither the other listeners nor the client.

export class Emitter {
    #listeners = new Map();

    /** Returns a function that takes the listener away again. */
    on(name, listener) {
        if (typeof listener !== 'function') {
            throw new TypeError('a listener must be a function');
        }
        const entry = { listener };
        if (!this.#listeners.has(name)) {
            this.#listeners.set(name, new Set());
        }
        this.#listeners.get(name).add(entry);
        return () => this.#listeners.get(name).delete(entry);
    }

    emit(name, value) {
        for (const { listener } of [...this.#listeners.get(name) ?? []]) {
            guarded(listener, value);
        }
    }
}

/** Calls the application; what it throws is reported as if uncaught. */
export function guarded(callback, ...values) {
    try {
        callback(...values);
    } catch (error) {
        if (typeof globalThis.reportError === 'function') {
            globalThis.reportError(error);
        } else {
            console.error(error);
        }
    }
}
