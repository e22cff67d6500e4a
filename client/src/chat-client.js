// The client for new pages: promises for what is sent, one callback for what
// arrives, events for what happens to the connection.

import { withDefaults } from './defaults.js';
import { Emitter } from './emitter.js';
import { Inbox } from './inbox.js';
import { Code, isIdentity } from './protocol.js';
import { SendError } from './send-error.js';
import { Session } from './session.js';

export class ChatClient {
    #session;
    #inbox;
    #emitter = new Emitter();
    #clock;
    #user;
    #serverOffset = 0;
    #instance;
    #sent = 0;

    constructor(url, options = {}) {
        if (typeof options.onMessage !== 'function') {
            throw new TypeError('onMessage must be a function');
        }
        const settings = withDefaults(options);
        this.#clock = settings.clock;
        this.#user = options.user;
        this.#instance = randomText(settings.random);
        this.#inbox = new Inbox({
            remember: settings.remember,
            backlog: settings.backlog,
            deliver: options.onMessage,
            acknowledge: (key) => this.#session.acknowledge(key),
            failed: (error, key) => this.#emitter.emit('error', { error, key }),
            overflow: () => this.#session.restart(),
        });
        const pass = (name) => (value) => this.#emitter.emit(name, value);
        this.#session = new Session(url, settings, {
            state: (state, previous) =>
                this.#emitter.emit('state', { state, previous }),
            retry: pass('retry'),
            error: (error) => this.#emitter.emit('error', { error }),
            frame: (frame) => this.#received(frame),
            up: () => {},
            down: pass('down'),
        });
    }

    get state() {
        return this.#session.state;
    }

    get pending() {
        return this.#session.pending;
    }

    /** As the server has it; before that, as it was given. */
    get user() {
        return this.#user;
    }

    on(name, listener) {
        return this.#emitter.on(name, listener);
    }

    connect() {
        this.#session.start();
        return this;
    }

    close() {
        this.#session.stop();
        this.#inbox.clear();
    }

    reconnect() {
        this.#session.restart();
    }

    identify(user) {
        this.#user = user;
        if (isIdentity(user)) {
            this.#session.identify(user);
        }
    }

    send(message) {
        const chatId = message?.chat_id;
        if (chatId === undefined || chatId === null) {
            return Promise.reject(
                new SendError('invalid', 'chat_id is missing'));
        }
        const now = this.serverNow();
        return this.#session.submit({
            send_id: this.createSendId(chatId),
            send_timestamp: now,
            new_type: 1,
            content: '',
            resource_url: '',
            ...message,
        });
    }

    /**
     * The recipe's chat id and time, and what makes it unique: the server
     * takes equal ids of one user for the same message, and a user may have
     * two devices, or send twice in a millisecond.
     */
    createSendId(chatId) {
        this.#sent++;
        return `${chatId}_${this.#clock.now()}_${this.#instance}`
            + this.#sent.toString(36);
    }

    serverNow() {
        return this.#clock.now() + this.#serverOffset;
    }

    #received(frame) {
        switch (frame.code) {
        case Code.IdentityWanted:
            this.#introduce();
            break;
        case Code.Identified:
            this.#identified(frame.data ?? {});
            break;
        case Code.News:
            this.#inbox.receive(frame.data ?? {});
            break;
        case Code.Fault:
            if ((frame.data?.send_id ?? null) === null) {
                this.#emitter.emit('fault',
                    { message: String(frame.data?.msg ?? frame.msg) });
            }
            break;
        case Code.Stored:
            break;
        default: // newer than this client
            this.#emitter.emit('frame', frame);
        }
    }

    #introduce() {
        if (isIdentity(this.#user)) {
            this.#session.identify(this.#user);
        } else {
            this.#emitter.emit('identify', {});
        }
    }

    #identified(data) {
        this.#user = data.user ?? this.#user;
        if (Number.isFinite(data.server_time)) {
            this.#serverOffset = data.server_time - this.#clock.now();
        }
        this.#emitter.emit('identified', {
            user: this.#user,
            serverTime: data.server_time,
            heartbeatTimeout: data.heartbeat_timeout,
        });
    }
}

function randomText(random) {
    const digits = () => random().toString(36).slice(2, 6).padEnd(4, '0');
    return digits() + digits();
}
