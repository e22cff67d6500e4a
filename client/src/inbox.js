// News on their way to the application: each key once, in the order of
// arrival, one at a time, acknowledged when the application is done with it.

import { KeyMemory } from './key-memory.js';

export class Inbox {
    #backlog;
    #deliver;
    #acknowledge;
    #failed;
    #overflow;
    #done;
    #waiting = new Map(); // key -> news, in the order of arrival
    #delivering = false;
    #overflowed = false;

    /**
     * remember: keys kept to recognise repetitions. backlog: news that may
     * wait for the application. deliver(news, key) may return a promise.
     * failed(error, key): deliver threw or rejected; the key stays with the
     * server, which brings it again in the next session. overflow(): the
     * backlog had been full and is empty now, the rest is still with the
     * server.
     */
    constructor(options) {
        this.#backlog = options.backlog;
        this.#deliver = options.deliver;
        this.#acknowledge = options.acknowledge;
        this.#failed = options.failed;
        this.#overflow = options.overflow;
        this.#done = new KeyMemory(options.remember);
    }

    /** data of a 236. */
    receive(data) {
        for (const [key, news] of Object.entries(data)) {
            if (this.#done.has(key)) {
                this.#acknowledge(key); // the first one has been lost
            } else if (!this.#waiting.has(key)) {
                this.#keep(key, news);
            }
        }
        if (!this.#delivering) {
            this.#drain();
        }
    }

    /** Forgets what was not begun; the server still has it. */
    clear() {
        this.#waiting.clear();
        this.#overflowed = false;
    }

    // Once one was left out, all that follow are: order is part of the deal.
    #keep(key, news) {
        if (this.#overflowed || this.#waiting.size >= this.#backlog) {
            this.#overflowed = true;
        } else {
            this.#waiting.set(key, news);
        }
    }

    async #drain() {
        this.#delivering = true;
        for (const [key, news] of this.#waiting) {
            try {
                const result = this.#deliver(news, key);
                // Awaiting what is no promise would cost a turn per message.
                if (typeof result?.then === 'function') {
                    await result;
                }
                this.#done.add(key);
                this.#acknowledge(key);
            } catch (error) {
                this.#failed(error, key);
            }
            // Only now, so that a repetition meanwhile finds it.
            this.#waiting.delete(key);
        }
        this.#delivering = false;
        if (this.#overflowed) {
            this.#overflowed = false;
            this.#overflow();
        }
    }
}
