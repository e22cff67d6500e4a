import type { Frame } from './protocol.js';

/** A user, as the site knows it. Falsy values mean that there is none. */
export type Identity = string | number;

/** The sender's own name for a message; 1 and "1" are two. */
export type SendId = string | number;

/** An address, or what makes one for each attempt (a token may expire). */
export type Url = string | URL | (() => string | URL | Promise<string | URL>);

/** What send() takes. Further fields travel with the message. */
export interface OutgoingMessage {
    chat_id: string | number;
    content?: unknown;
    /** Default: createSendId(chat_id). */
    send_id?: SendId;
    /** Milliseconds; default: serverNow(). */
    send_timestamp?: number;
    /** Default: 1. */
    new_type?: number | string;
    /** Default: "". */
    resource_url?: string;
    [field: string]: unknown;
}

/** A message as it arrives. */
export interface News extends OutgoingMessage {
    send_id: SendId;
    send_user_id: Identity;
    receive_user_id: Identity;
}

/** The answer to a message: stored for every recipient. */
export interface Stored {
    send_id: SendId;
    msg: string;
}

/**
 * - `closed`: not started, or close() was called
 * - `connecting`: a handshake is under way
 * - `open`: connected, the user is not known to the server yet
 * - `ready`: messages are sent and received
 * - `waiting`: the connection was lost, the next attempt has its time
 */
export type ConnectionState =
    'closed' | 'connecting' | 'open' | 'ready' | 'waiting';

/** For tests and for places that are no browser. */
export interface Environment {
    /** Default: globalThis.WebSocket. */
    webSocket?: new (url: string, protocols?: string | string[]) => any;
    /** Where online, pagehide and document are looked for. */
    scope?: { addEventListener?: Function; document?: any };
    clock?: {
        now(): number;
        setTimeout(callback: () => void, delay: number): any;
        clearTimeout(id: any): void;
    };
    /** At least 0, below 1. */
    random?: () => number;
}

/** All times are in milliseconds. */
export interface ConnectionOptions extends Environment {
    protocols?: string | string[];
    /**
     * Pause between two heartbeats. Default: 5000 until the server has named
     * its time-out, then a quarter of that; a value that is given here is
     * only ever made shorter.
     */
    heartbeatInterval?: number;
    /** A heartbeat without answer ends the connection. Default: 20000. */
    answerTimeout?: number;
    /** The same after the network or the page came back. Default: 5000. */
    probeTimeout?: number;
    /** Default: 10000. */
    connectTimeout?: number;
    /** Range of the first delay. Default: 500. */
    backoffBase?: number;
    /** Range of the longest delay. Default: 30000. */
    backoffCap?: number;
    /** Range of the first delay after close code 1012. Default: 2000. */
    restartSpread?: number;
    /** An open connection this old resets the backoff. Default: 5000. */
    stableAfter?: number;
    /** Messages without answer. Default: 256. */
    outboxLimit?: number;
    /** Their size in UTF-8. Default: 1 MiB. */
    outboxBytes?: number;
    /** chat_max_message of the server, in bytes. Default: 64 KiB. */
    maxMessage?: number;
    /** Messages under way at a time. Default: 16. */
    window?: number;
    /** Silence after which they are repeated. Default: 10000. */
    sendTimeout?: number;
    /** Keys kept to recognise repetitions. Default: 10000. */
    remember?: number;
    /** News that may wait for the application. Default: 10000. */
    backlog?: number;
    /** Default: 50. */
    acknowledgeDelay?: number;
    /** Default: 100. */
    acknowledgeBatch?: number;
}

export interface ChatClientOptions extends ConnectionOptions {
    /** Sent when the server asks (231). Not needed where nginx knows it. */
    user?: Identity | null;
    /**
     * Each message once, in order, one at a time. It is acknowledged, and so
     * deleted from the inbox, when this has returned, or when the promise
     * that it returned is fulfilled; until then nothing else is delivered.
     * When it throws or rejects, the message stays in the inbox and comes
     * again with the next session.
     */
    onMessage: (news: News, key: string) => unknown;
}

export interface ChatClientEvents {
    state: { state: ConnectionState; previous: ConnectionState };
    /** The next attempt: its number, and the delay before it. */
    retry: { attempt: number; delay: number; code: number; reason: string };
    /** The connection was lost, or could not be made. */
    down: { code: number; reason: string; wasClean: boolean };
    /** 240: the server knows the user. */
    identified: {
        user: Identity;
        serverTime: number | undefined;
        heartbeatTimeout: number | undefined;
    };
    /** 231 came and there is no user: call identify(). */
    identify: {};
    /** 300 about a frame that was no message, such as a refused identity. */
    fault: { message: string };
    /** A socket error, an address that cannot be had, or onMessage threw. */
    error: { error: unknown; key?: string };
    /** A code that this client does not know. */
    frame: Frame;
}

export declare class ChatClient {
    /** Throws on options and addresses that cannot be used. */
    constructor(url: Url, options: ChatClientOptions);

    readonly state: ConnectionState;
    /** Messages without answer. */
    readonly pending: number;
    /** As the server has it; before that, as it was given. */
    readonly user: Identity | null | undefined;

    /** Returns a function that takes the listener away. */
    on<Name extends keyof ChatClientEvents>(
        name: Name, listener: (event: ChatClientEvents[Name]) => void,
    ): () => void;

    /** Connects, and goes on connecting until close(). */
    connect(): this;
    /** Ends the connection, all timers and listeners; rejects what waits. */
    close(): void;
    /** Gives up the present connection for a new one. */
    reconnect(): void;
    /** Names the user, now and whenever the server asks. */
    identify(user: Identity): void;
    /**
     * Keeps the message and repeats it, with the same send_id and in order,
     * until the server has stored it (fulfilled) or refused it (rejected with
     * a SendError).
     */
    send(message: OutgoingMessage): Promise<Stored>;
    createSendId(chatId: string | number): string;
    /** The clock of the server, in milliseconds, as far as it is known. */
    serverNow(): number;
}
