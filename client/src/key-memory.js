// The last keys that were dealt with, as many as limit; the oldest go first.

export class KeyMemory {
    #keys = new Set();
    #limit;

    constructor(limit) {
        this.#limit = limit;
    }

    has(key) {
        return this.#keys.has(key);
    }

    add(key) {
        this.#keys.delete(key); // so that it is the newest again
        this.#keys.add(key);
        if (this.#keys.size > this.#limit) {
            this.#keys.delete(this.#keys.values().next().value);
        }
    }
}
