// Messages that have no answer yet, in the order in which they were given.
//
// At most `window` of them are under way. When the session is new, or when
// the server has been silent about them for answerTimeout, all that are under
// way go out once more, in order and with the same send_id: the server stores
// a send_id once and answers it as often as it is asked.

import { SendError } from './send-error.js';

const ANSWER = 'answer';
const MAX_PATIENCE = 60_000;

export class Outbox {
    #limit;
    #byteLimit;
    #window;
    #answerTimeout;
    #timers;
    #transmit;
    #entries = new Map(); // identity of send_id -> entry
    #underWay = 0;
    #bytes = 0;
    #running = false;
    #patience;

    /**
     * limit, byteLimit: what may wait in all. answerTimeout: milliseconds,
     * doubled with each repetition that brings no answer. transmit(text)
     * hands a frame to the socket.
     */
    constructor(options) {
        this.#limit = options.limit;
        this.#byteLimit = options.byteLimit;
        this.#window = options.window;
        this.#answerTimeout = options.answerTimeout;
        this.#timers = options.timers;
        this.#transmit = options.transmit;
        this.#patience = options.answerTimeout;
    }

    get size() {
        return this.#entries.size;
    }

    /** Settles with the data of the 235, or rejects with a SendError. */
    add(sendId, text, bytes) {
        const id = identityOf(sendId);
        if (this.#entries.has(id)) {
            return Promise.reject(new SendError('duplicate',
                'this send_id is waiting for its answer', sendId));
        }
        if (this.#entries.size >= this.#limit
            || this.#bytes + bytes > this.#byteLimit) {
            return Promise.reject(new SendError('full',
                'too many messages wait for an answer', sendId));
        }
        return new Promise((resolve, reject) => {
            this.#entries.set(id,
                { sendId, text, bytes, resolve, reject, underWay: false });
            this.#bytes += bytes;
            this.#pump();
        });
    }

    /** The server answered 235 (error null) or 300. False: not one of ours. */
    settle(sendId, data, error = null) {
        const id = identityOf(sendId);
        const entry = this.#entries.get(id);
        if (entry === undefined) {
            return false;
        }
        this.#remove(id, entry);
        if (error === null) {
            entry.resolve(data);
        } else {
            entry.reject(error);
        }
        this.#patience = this.#answerTimeout;
        this.#timers.clear(ANSWER);
        this.#pump();
        return true;
    }

    /** A session is ready: everything under way before it is sent again. */
    resume() {
        this.#running = true;
        this.#patience = this.#answerTimeout;
        this.#repeat();
    }

    suspend() {
        this.#running = false;
        this.#timers.clear(ANSWER);
    }

    /**
     * The server closed the connection over a message that is too big. It
     * does not say which; the longest one that was under way cannot pass, and
     * repeating it would close every connection to come.
     */
    rejectLongest() {
        let longest = null;
        for (const [id, entry] of this.#entries) {
            if (entry.underWay && !(longest?.entry.bytes >= entry.bytes)) {
                longest = { id, entry };
            }
        }
        if (longest !== null) {
            this.#remove(longest.id, longest.entry);
            longest.entry.reject(new SendError('too_large',
                'the server does not take a message of this size',
                longest.entry.sendId));
        }
    }

    rejectAll(message) {
        const entries = [...this.#entries];
        for (const [id, entry] of entries) {
            this.#remove(id, entry);
            entry.reject(new SendError('closed', message, entry.sendId));
        }
        this.#timers.clear(ANSWER);
    }

    #remove(id, entry) {
        this.#entries.delete(id);
        this.#bytes -= entry.bytes;
        this.#underWay -= entry.underWay ? 1 : 0;
    }

    #repeat() {
        for (const entry of this.#entries.values()) {
            entry.underWay = false;
        }
        this.#underWay = 0;
        this.#timers.clear(ANSWER);
        this.#pump();
    }

    #pump() {
        if (!this.#running) {
            return;
        }
        for (const entry of this.#entries.values()) {
            if (this.#underWay >= this.#window) {
                break;
            }
            if (!entry.underWay) {
                entry.underWay = true;
                this.#underWay++;
                this.#transmit(entry.text);
            }
        }
        if (this.#underWay > 0 && !this.#timers.has(ANSWER)) {
            this.#timers.set(ANSWER, this.#patience, () => {
                this.#patience = Math.min(this.#patience * 2,
                    Math.max(MAX_PATIENCE, this.#answerTimeout));
                this.#repeat();
            });
        }
    }
}

// 1 and "1" are two send_ids.
function identityOf(sendId) {
    return `${typeof sendId}:${sendId}`;
}
