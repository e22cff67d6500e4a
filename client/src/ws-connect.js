// The object that the recipe's pages use, over this package's connection:
//
//     var ws_connect = new WsConnect(url)
//     ws_connect.onmessage = function(res) { … res["code"] … }
//     ws_connect.createWS()
//     ws_connect.sendMessage(data, code, msg)
//     ws_connect.closeConnect()
//
// A page keeps its own code for 231 → 230 and for 236 → 237. What changes for
// it: messages (234) wait for the connection and are repeated until they are
// answered, acknowledgements (237) are batched, and keys that the page has
// acknowledged are not shown to it again.

import { withDefaults } from './defaults.js';
import { guarded } from './emitter.js';
import { KeyMemory } from './key-memory.js';
import { Code } from './protocol.js';
import { Session } from './session.js';

export class WsConnect {
    url;
    heart_check_time = 5 * 1000; // pause between two heartbeats
    reconnect_time = 20 * 1000; // how long a heartbeat waits for its answer

    onopen = () => {};
    onmessage = () => {};
    onclose = () => {};
    onerror = () => {};

    #options;
    #session = null;
    #done;

    constructor(url, options = {}) {
        this.url = url;
        this.#options = options;
    }

    /** The WebSocket of the moment, or null. */
    get ws() {
        return this.#session?.socket ?? null;
    }

    get is_listen() {
        return this.#session !== null;
    }

    /** Connects, and goes on connecting until closeConnect(). */
    createWS() {
        if (this.#session !== null) {
            return;
        }
        const settings = withDefaults({
            ...this.#options,
            heartbeatInterval: this.heart_check_time,
            answerTimeout: this.reconnect_time,
        });
        this.#done ??= new KeyMemory(settings.remember);
        this.#session = new Session(this.url, settings, {
            state: () => {},
            retry: () => {},
            down: () => {},
            up: (event) => guarded((value) => this.onopen(value), event),
            error: (event) => guarded((value) => this.onerror(value), event),
            frame: (frame) => this.#received(frame),
        });
        this.#session.start();
    }

    sendMessage(data, code = 200, msg = '') {
        const session = this.#session;
        if (session === null) {
            return;
        }
        if (code === Code.Identify) {
            session.identify(data, msg);
        } else if (code === Code.Send && isAnswerable(data)) {
            session.submit(data, msg).catch((error) => this.#failed(error));
        } else if (code === Code.Acknowledge && Array.isArray(data)) {
            for (const key of data) {
                this.#done.add(key);
                session.acknowledge(key);
            }
        } else {
            session.transmit(code, data, msg);
        }
    }

    /** As in the recipe, onclose is called for this end and for no other. */
    closeConnect() {
        if (this.#session === null) {
            return;
        }
        const session = this.#session;
        this.#session = null;
        session.stop();
        const event = { type: 'close', code: 1000, reason: '', wasClean: true };
        queueMicrotask(() => guarded((value) => this.onclose(value), event));
    }

    /** Gives up the present connection for a new one. */
    reconnect() {
        this.#session?.restart();
    }

    #received(frame) {
        const shown = frame.code === Code.News ? this.#unknownNews(frame) : frame;
        if (shown !== null) {
            guarded((value) => this.onmessage(value), shown);
        }
    }

    #unknownNews(frame) {
        const data = {};
        let count = 0;
        for (const [key, news] of Object.entries(frame.data ?? {})) {
            if (this.#done.has(key)) {
                this.#session.acknowledge(key); // the first one has been lost
            } else {
                data[key] = news;
                count++;
            }
        }
        return count === 0 ? null : { ...frame, data };
    }

    // A refusal has reached the page as the frame it was. What this side
    // refused is put in the same words.
    #failed(error) {
        if (error.code === 'refused' || error.code === 'closed') {
            return;
        }
        const data = { send_id: error.sendId, msg: error.message };
        const frame = { code: Code.Fault, msg: '信息发送出现异常', data };
        guarded((value) => this.onmessage(value), frame);
    }
}

function isAnswerable(message) {
    const type = typeof message?.send_id;
    return type === 'string' || type === 'number';
}
