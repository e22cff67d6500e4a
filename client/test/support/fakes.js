// A clock that moves only when told, a WebSocket that does only what a test
// says, and a page.

export class FakeClock {
    #now = 1_700_000_000_000;
    #next = 1;
    #timers = new Map();

    now = () => this.#now;

    setTimeout = (callback, delay) => {
        const id = this.#next++;
        this.#timers.set(id, { at: this.#now + delay, callback });
        return id;
    };

    clearTimeout = (id) => {
        this.#timers.delete(id);
    };

    get running() {
        return this.#timers.size;
    }

    /** Runs what falls due in the next ms milliseconds, in order. */
    advance(ms) {
        const end = this.#now + ms;
        for (;;) {
            let due = null;
            for (const [id, timer] of this.#timers) {
                if (timer.at <= end && (due === null || timer.at < due.at)) {
                    due = { id, ...timer };
                }
            }
            if (due === null) {
                break;
            }
            this.#timers.delete(due.id);
            this.#now = due.at;
            due.callback();
        }
        this.#now = end;
    }
}

export class FakeSocket {
    static made = [];

    static get last() {
        return FakeSocket.made.at(-1);
    }

    /** Sockets that are neither refused nor closed by either side. */
    static get alive() {
        return FakeSocket.made.filter((socket) => !socket.gone).length;
    }

    static reset() {
        FakeSocket.made = [];
    }

    sent = [];
    gone = false;
    closeCode = null;
    onopen = null;
    onmessage = null;
    onerror = null;
    onclose = null;

    constructor(url, protocols) {
        this.url = url;
        this.protocols = protocols;
        FakeSocket.made.push(this);
    }

    send(text) {
        this.sent.push(text);
    }

    close(code) {
        this.gone = true;
        this.closeCode = code;
    }

    // What the server does.

    open() {
        this.onopen?.({ type: 'open' });
    }

    text(data) {
        this.onmessage?.({ type: 'message', data });
    }

    frame(code, data, msg = '') {
        this.text(JSON.stringify({ code, msg, data }));
    }

    drop(code = 1006, reason = '') {
        this.gone = true;
        this.onerror?.({ type: 'error' });
        this.onclose?.({ type: 'close', code, reason, wasClean: false });
    }

    // What the client sent.

    get frames() {
        return this.sent.filter((text) => text !== 'ping').map(JSON.parse);
    }

    framesOf(code) {
        return this.frames.filter((frame) => frame.code === code);
    }

    get pings() {
        return this.sent.filter((text) => text === 'ping').length;
    }
}

/** As much of window and document as the client looks at. */
export function fakePage() {
    const page = new EventTarget();
    page.document = new EventTarget();
    page.document.visibilityState = 'visible';
    const counted = (target) => {
        const { addEventListener, removeEventListener } = target;
        target.addEventListener = (...args) => {
            page.listeners++;
            addEventListener.apply(target, args);
        };
        target.removeEventListener = (...args) => {
            page.listeners--;
            removeEventListener.apply(target, args);
        };
    };
    page.listeners = 0;
    counted(page);
    counted(page.document);
    return page;
}

/** Lets every promise that can settle do so. */
export function settled() {
    return new Promise((resolve) => {
        setImmediate(resolve);
    });
}

/** Options that put a client into this world; jitter is always the maximum. */
export function fakeWorld() {
    FakeSocket.reset();
    const clock = new FakeClock();
    const page = fakePage();
    return {
        clock,
        page,
        options: {
            clock,
            scope: page,
            webSocket: FakeSocket,
            random: () => 0.999999,
        },
    };
}
