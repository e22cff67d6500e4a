// The wire protocol, version 1: docs/wire-protocol.md says what each code
// means. Every frame but the heartbeat is {"code", "msg", "data"}.

export const Code = Object.freeze({
    Identify: 230, // to the server: the user of this session
    IdentityWanted: 231, // from the server: asks for 230
    Send: 234, // to the server: a message for a chat
    Stored: 235, // from the server: stored for every recipient
    News: 236, // from the server: {key: news}
    Acknowledge: 237, // to the server: [key]
    Identified: 240, // from the server: user, server_time, heartbeat_timeout
    Fault: 300, // from the server: a send failed, or a frame made no sense
});

export const PING = 'ping';
export const PONG = 'pong';

export function encode(code, data, msg = '') {
    return JSON.stringify({ code, msg, data });
}

/** The frame as an object, or null when it is not one of this protocol. */
export function decode(text) {
    let frame;
    try {
        frame = JSON.parse(text);
    } catch {
        return null;
    }
    const usable = frame !== null && typeof frame === 'object'
        && Number.isInteger(frame.code);
    return usable ? frame : null;
}

/** What the server takes for "no identity yet" and asks about again. */
export function isIdentity(user) {
    return user !== undefined && user !== null && user !== false
        && user !== 0 && user !== '';
}

/**
 * An absolute ws: or wss: address. http(s) addresses are turned into their
 * ws(s) twins; relative ones are resolved against the page.
 */
export function socketUrl(url, base = globalThis.location?.href) {
    const absolute = new URL(url, base);
    if (absolute.protocol === 'http:') {
        absolute.protocol = 'ws:';
    } else if (absolute.protocol === 'https:') {
        absolute.protocol = 'wss:';
    }
    if (absolute.protocol !== 'ws:' && absolute.protocol !== 'wss:') {
        throw new SyntaxError(`not a WebSocket address: ${url}`);
    }
    absolute.hash = ''; // a fragment is an error in a WebSocket address
    return absolute.href;
}
