// Exponential backoff with full jitter: the n-th delay is random between 0
// and base * 2^n, and never above cap. Spreading over the whole range is what
// keeps thousands of clients from coming back at the same moment.

export class Backoff {
    #base;
    #cap;
    #random;
    #attempts = 0;

    /** base, cap: milliseconds. random: () => [0, 1). */
    constructor({ base, cap, random = Math.random }) {
        this.#base = base;
        this.#cap = cap;
        this.#random = random;
    }

    /** Delays handed out since the last reset. */
    get attempts() {
        return this.#attempts;
    }

    /**
     * The next delay in milliseconds, rounded. floor is added to it; spread
     * widens a range that would be narrower.
     */
    next({ floor = 0, spread = 0 } = {}) {
        const grown = Math.min(this.#cap, this.#base * 2 ** this.#attempts);
        this.#attempts++;
        return floor + Math.round(this.#random() * Math.max(grown, spread));
    }

    reset() {
        this.#attempts = 0;
    }
}
