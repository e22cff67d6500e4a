// Timers by name: setting one that runs replaces it, and clear() without a
// name leaves none behind.

// Called through functions, because a browser's setTimeout insists on being
// a method of window.
export const systemClock = {
    now: () => Date.now(),
    setTimeout: (callback, delay) => globalThis.setTimeout(callback, delay),
    clearTimeout: (id) => globalThis.clearTimeout(id),
};

export class Timers {
    #clock;
    #running = new Map();

    constructor(clock) {
        this.#clock = clock;
    }

    set(name, delay, callback) {
        this.clear(name);
        const id = this.#clock.setTimeout(() => {
            this.#running.delete(name);
            callback();
        }, delay);
        this.#running.set(name, id);
    }

    has(name) {
        return this.#running.has(name);
    }

    clear(name) {
        if (name === undefined) {
            for (const each of [...this.#running.keys()]) {
                this.clear(each);
            }
            return;
        }
        this.#clock.clearTimeout(this.#running.get(name));
        this.#running.delete(name);
    }
}
