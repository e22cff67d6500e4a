// Keys waiting to be acknowledged: they leave together, after a short delay
// or when a batch is full. While there is no session they wait; the server
// repeats what it has no acknowledgement for, so losing one costs nothing
// but a repetition.

export class AckBatch {
    #size;
    #delay;
    #timers;
    #transmit;
    #keys = new Set();
    #running = false;

    /** transmit(keys) sends one 237. delay: milliseconds. */
    constructor({ size, delay, timers, transmit }) {
        this.#size = size;
        this.#delay = delay;
        this.#timers = timers;
        this.#transmit = transmit;
    }

    add(key) {
        this.#keys.add(key);
        if (!this.#running) {
            return;
        }
        if (this.#keys.size >= this.#size) {
            this.flush();
        } else if (!this.#timers.has('acknowledge')) {
            this.#timers.set('acknowledge', this.#delay, () => this.flush());
        }
    }

    resume() {
        this.#running = true;
        this.flush();
    }

    suspend() {
        this.#running = false;
        this.#timers.clear('acknowledge');
    }

    flush() {
        if (!this.#running) {
            return;
        }
        this.#timers.clear('acknowledge');
        const keys = [...this.#keys];
        this.#keys.clear();
        for (let at = 0; at < keys.length; at += this.#size) {
            this.#transmit(keys.slice(at, at + this.#size));
        }
    }
}
