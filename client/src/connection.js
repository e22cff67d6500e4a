// One WebSocket at a time, opened again for as long as it is wanted.
//
//            start()          opened            lost
//   closed ─────────▶ connecting ─────▶ open ─────────▶ waiting
//      ▲                  ▲  │ failed                     │ ▲
//      │ stop()           │  └────────────────────────────│─┘
//   any state             └───────────────────────────────┘
//                           delay over, online, page visible or back
//
// What arrives from any socket but the current one is ignored, so that
// nothing depends on the order in which a browser reports a failure.

import { Backoff } from './backoff.js';
import { watchPage } from './page-events.js';
import { PING, PONG, socketUrl } from './protocol.js';
import { Timers } from './timers.js';

const SERVICE_RESTART = 1012;
const TRY_AGAIN_LATER = 1013;
const TRY_AGAIN_LATER_FLOOR = 1000;
const ABNORMAL = 1006;

// A session must be heard of this many times within the server's timeout.
const BEATS_PER_TIMEOUT = 4;
const SHORTEST_BEAT = 1000;

export class Connection {
    #url;
    #options;
    #hooks;
    #timers;
    #backoff;
    #beat;
    #state = 'closed';
    #attempt = null; // {socket}: the one whose events count
    #unwatch = null;

    /**
     * options: those of defaults.js. Hooks:
     *   state(state, previous)  up(event)  text(string)
     *   down({code, reason, wasClean})     the socket had been open or not
     *   retry({attempt, delay, code, reason})
     *   error(error)            an address that cannot be used, a socket error
     *   hide()                  the page is left: the last chance to send
     */
    constructor(url, options, hooks) {
        if (typeof url !== 'function') {
            socketUrl(url); // a wrong address is the caller's error, now
        }
        this.#url = url;
        this.#options = options;
        this.#hooks = hooks;
        this.#beat = options.heartbeatInterval;
        this.#timers = new Timers(options.clock);
        this.#backoff = new Backoff({
            base: options.backoffBase,
            cap: options.backoffCap,
            random: options.random,
        });
    }

    get state() {
        return this.#state;
    }

    get socket() {
        return this.#attempt?.socket ?? null;
    }

    /** Does nothing while it is started already. */
    start() {
        if (this.#state !== 'closed') {
            return;
        }
        this.#unwatch = watchPage(this.#options.scope, {
            wake: () => this.#wake(),
            hide: () => this.#hide(),
        });
        this.#connect();
    }

    /** Ends the socket, every timer and every listener. */
    stop() {
        if (this.#state === 'closed') {
            return;
        }
        this.#unwatch();
        this.#abandon(1000);
        this.#backoff.reset();
        this.#beat = this.#options.heartbeatInterval;
        this.#enter('closed');
    }

    /** Gives up the socket, if there is one, and opens the next at once. */
    restart() {
        if (this.#state === 'closed') {
            return;
        }
        this.#suspend();
        if (this.#idle()) {
            this.#connect();
        }
    }

    /** False, and nothing sent, unless the socket is open. */
    send(text) {
        if (this.#state !== 'open') {
            return false;
        }
        this.#attempt.socket.send(text);
        return true;
    }

    /** The server evicts a session that is silent for so long (ms). */
    adaptHeartbeat(serverTimeout) {
        const fitting = serverTimeout / BEATS_PER_TIMEOUT;
        if (!(fitting > 0) || this.#state !== 'open') {
            return;
        }
        this.#beat = this.#options.heartbeatFixed
            ? Math.min(this.#options.heartbeatInterval, fitting) : fitting;
        this.#beat = Math.max(this.#beat, SHORTEST_BEAT);
        this.#scheduleBeat();
    }

    // Between two attempts. A hook may stop or restart us, so it is asked anew
    // after each.
    #idle() {
        return this.#state === 'waiting' && this.#attempt === null;
    }

    #enter(state) {
        const previous = this.#state;
        this.#state = state;
        if (state !== previous) {
            this.#hooks.state(state, previous);
        }
    }

    // A browser may keep a page that was left, to return to it, and its socket
    // with it: a session that nobody reads. wake() opens the next one.
    #hide() {
        this.#hooks.hide();
        this.#suspend();
    }

    #suspend() {
        const hadSocket = this.#attempt !== null;
        this.#abandon(1000);
        this.#enter('waiting');
        if (hadSocket && this.#idle()) {
            this.#hooks.down({ code: 1000, reason: '', wasClean: true });
        }
    }

    #connect() {
        const attempt = { socket: null };
        this.#attempt = attempt;
        this.#timers.clear();
        this.#timers.set('connect', this.#options.connectTimeout,
            () => this.#lost(attempt, failure('no answer to the handshake')));
        this.#enter('connecting');
        try {
            const url = typeof this.#url === 'function'
                ? this.#url() : this.#url;
            if (typeof url?.then === 'function') {
                url.then((value) => this.#dial(attempt, value))
                    .catch((error) => this.#undialled(attempt, error));
            } else {
                this.#dial(attempt, url);
            }
        } catch (error) {
            this.#undialled(attempt, error);
        }
    }

    #undialled(attempt, error) {
        if (this.#attempt === attempt) {
            this.#hooks.error(error);
            this.#lost(attempt, failure('no address to connect to'));
        }
    }

    #dial(attempt, url) {
        if (this.#attempt !== attempt) {
            return;
        }
        const { webSocket: WebSocket, protocols } = this.#options;
        const socket = new WebSocket(socketUrl(url), protocols);
        attempt.socket = socket;
        const current = (action) => (event) => {
            if (this.#attempt === attempt) {
                action(event);
            }
        };
        socket.onopen = current((event) => this.#opened(event));
        socket.onmessage = current((event) => this.#received(event.data));
        socket.onerror = current((event) => this.#hooks.error(event));
        socket.onclose = current((event) => this.#lost(attempt, event));
    }

    #opened(event) {
        this.#timers.clear('connect');
        this.#timers.set('stable', this.#options.stableAfter,
            () => this.#backoff.reset());
        this.#beat = this.#options.heartbeatInterval;
        this.#scheduleBeat();
        this.#enter('open');
        if (this.#state === 'open') {
            this.#hooks.up(event);
        }
    }

    #received(data) {
        this.#timers.clear('answer');
        if (typeof data === 'string' && data !== PONG) {
            this.#hooks.text(data);
        }
    }

    #lost(attempt, event) {
        if (this.#attempt !== attempt) {
            return;
        }
        this.#abandon();
        const { code, reason } = event;
        const delay = this.#backoff.next({
            spread: code === SERVICE_RESTART ? this.#options.restartSpread : 0,
            floor: code === TRY_AGAIN_LATER ? TRY_AGAIN_LATER_FLOOR : 0,
        });
        this.#timers.set('retry', delay, () => this.#connect());
        this.#enter('waiting');
        if (this.#idle()) {
            this.#hooks.down(event);
        }
        if (this.#idle()) {
            this.#hooks.retry(
                { attempt: this.#backoff.attempts, delay, code, reason });
        }
    }

    // Detaches first: closing a socket may report an error, and a dead one
    // reports its end only minutes later.
    #abandon(code) {
        const socket = this.#attempt?.socket;
        this.#attempt = null;
        this.#timers.clear();
        if (socket) {
            socket.onopen = null;
            socket.onmessage = null;
            socket.onerror = null;
            socket.onclose = null;
            socket.close(code);
        }
    }

    #scheduleBeat() {
        this.#timers.set('beat', this.#beat, () => {
            this.#probe(this.#options.answerTimeout);
            this.#scheduleBeat();
        });
    }

    // Whatever arrives within the timeout counts as the answer. A probe that
    // is under way already is not given more time by the next one.
    #probe(timeout) {
        const attempt = this.#attempt;
        attempt.socket.send(PING);
        if (!this.#timers.has('answer')) {
            this.#timers.set('answer', timeout,
                () => this.#lost(attempt, failure('no answer to the heartbeat')));
        }
    }

    #wake() {
        if (this.#state === 'waiting') {
            this.#connect();
        } else if (this.#state === 'open') {
            // The network may have changed under an open socket: ask now, and
            // do not wait as long as usual.
            this.#timers.clear('answer');
            this.#probe(Math.min(this.#options.answerTimeout,
                this.#options.probeTimeout));
        }
    }
}

function failure(reason) {
    return { code: ABNORMAL, reason, wasClean: false };
}
