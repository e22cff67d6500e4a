// Every number that the client goes by; the same names are options of
// ChatClient and of WsConnect. Times are in milliseconds.

import { systemClock } from './timers.js';

export const defaults = Object.freeze({
    // connection
    heartbeatInterval: 5_000,
    answerTimeout: 20_000, // a heartbeat without answer ends the connection
    probeTimeout: 5_000, // the same after the network or the page came back
    connectTimeout: 10_000,
    backoffBase: 500,
    backoffCap: 30_000,
    restartSpread: 2_000, // first delay after close code 1012
    stableAfter: 5_000, // an open connection this old resets the backoff

    // sending
    outboxLimit: 256, // messages without answer
    outboxBytes: 1024 * 1024, // and their size in UTF-8
    maxMessage: 64 * 1024, // chat_max_message of the server
    window: 16, // messages under way at a time
    sendTimeout: 10_000, // silence after which they are repeated

    // receiving
    remember: 10_000, // keys kept to recognise repetitions
    backlog: 10_000, // news that may wait for the application
    acknowledgeDelay: 50,
    acknowledgeBatch: 100,
});

/** The application's options over the defaults, with the environment. */
export function withDefaults(options) {
    const settings = { ...defaults };
    for (const name of Object.keys(defaults)) {
        if (options[name] !== undefined) {
            if (!(options[name] >= 0)) {
                throw new RangeError(`${name} must not be negative`);
            }
            settings[name] = options[name];
        }
    }
    settings.heartbeatFixed = options.heartbeatInterval !== undefined;
    settings.protocols = options.protocols ?? [];
    settings.webSocket = options.webSocket ?? globalThis.WebSocket;
    settings.scope = options.scope ?? globalThis;
    settings.clock = options.clock ?? systemClock;
    settings.random = options.random ?? Math.random;
    if (typeof settings.webSocket !== 'function') {
        throw new TypeError('there is no WebSocket here: give one as an option');
    }
    return settings;
}
