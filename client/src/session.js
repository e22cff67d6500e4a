// The chat protocol over a connection: what ChatClient and WsConnect share.
// Ready means that the server knows the user; only then messages are sent.

import { AckBatch } from './ack-batch.js';
import { Connection } from './connection.js';
import { Outbox } from './outbox.js';
import { Code, decode, encode } from './protocol.js';
import { SendError } from './send-error.js';
import { Timers } from './timers.js';

export class Session {
    #settings;
    #hooks;
    #timers;
    #connection;
    #outbox;
    #acks;
    #ready = false;

    /**
     * settings: from withDefaults(). Hooks: frame(frame) for every frame that
     * came, up, down, retry, error as for Connection, and
     * state(state, previous), where 'open' is followed by 'ready'.
     */
    constructor(url, settings, hooks) {
        this.#settings = settings;
        this.#hooks = hooks;
        this.#timers = new Timers(settings.clock);
        const transmit = (text) => this.#connection.send(text);
        this.#outbox = new Outbox({
            limit: settings.outboxLimit,
            byteLimit: settings.outboxBytes,
            window: settings.window,
            answerTimeout: settings.sendTimeout,
            timers: this.#timers,
            transmit,
        });
        this.#acks = new AckBatch({
            size: settings.acknowledgeBatch,
            delay: settings.acknowledgeDelay,
            timers: this.#timers,
            transmit: (keys) => transmit(encode(Code.Acknowledge, keys)),
        });
        this.#connection = new Connection(url, settings, {
            state: (state, previous) => this.#changed(state, previous),
            up: hooks.up,
            text: (text) => this.#received(text),
            down: (event) => this.#down(event),
            retry: hooks.retry,
            error: hooks.error,
            hide: () => this.#acks.flush(),
        });
    }

    get state() {
        return this.#ready ? 'ready' : this.#connection.state;
    }

    get socket() {
        return this.#connection.socket;
    }

    /** Messages without answer. */
    get pending() {
        return this.#outbox.size;
    }

    start() {
        this.#connection.start();
    }

    /** Unanswered messages are rejected, unsent acknowledgements sent. */
    stop() {
        this.#acks.flush();
        this.#connection.stop();
        this.#outbox.rejectAll('the client was closed');
    }

    restart() {
        this.#acks.flush();
        this.#connection.restart();
    }

    /** Any frame, now; false when there is no open connection. */
    transmit(code, data, msg) {
        return this.#connection.send(encode(code, data, msg));
    }

    /** Names the user of this session; false without an open connection. */
    identify(user, msg) {
        if (!this.transmit(Code.Identify, user, msg)) {
            return false;
        }
        // The server reads in order, so messages may follow at once. Servers
        // that know only the recipe never confirm a 230.
        this.#becomeReady();
        return true;
    }

    /** Sends 234 until it is answered; see Outbox.add(). */
    submit(message, msg) {
        const sendId = message.send_id;
        let text;
        try {
            text = encode(Code.Send, message, msg);
        } catch (error) {
            return Promise.reject(
                new SendError('invalid', error.message, sendId));
        }
        const bytes = new TextEncoder().encode(text).length;
        if (bytes > this.#settings.maxMessage) {
            return Promise.reject(new SendError('too_large',
                `${bytes} bytes; the limit is ${this.#settings.maxMessage}`,
                sendId));
        }
        return this.#outbox.add(sendId, text, bytes);
    }

    /** Deletes a key from the user's inbox on the server, soon. */
    acknowledge(key) {
        this.#acks.add(key);
    }

    #changed(state, previous) {
        const wasReady = this.#ready;
        this.#ready = false;
        this.#outbox.suspend();
        this.#acks.suspend();
        this.#hooks.state(state, wasReady ? 'ready' : previous);
    }

    #becomeReady() {
        if (this.#ready) {
            return;
        }
        this.#ready = true;
        this.#acks.resume();
        this.#outbox.resume();
        this.#hooks.state('ready', 'open');
    }

    #down(event) {
        if (event.code === 1009) {
            this.#outbox.rejectLongest();
        }
        this.#hooks.down(event);
    }

    #received(text) {
        const frame = decode(text);
        if (frame === null) {
            this.#hooks.error(new Error(`not a frame: ${text.slice(0, 80)}`));
            return;
        }
        const data = frame.data ?? {};
        if (frame.code === Code.Identified) {
            this.#connection.adaptHeartbeat(data.heartbeat_timeout);
            this.#becomeReady();
        } else if (frame.code === Code.Stored) {
            this.#outbox.settle(data.send_id, data);
        } else if (frame.code === Code.Fault) {
            this.#outbox.settle(data.send_id, data,
                new SendError('refused', String(data.msg), data.send_id));
        }
        this.#hooks.frame(frame);
    }
}
