import type { ConnectionOptions } from './chat-client.js';
import type { Frame } from './protocol.js';

/** What onclose is given. */
export interface CloseNotice {
    type: 'close';
    code: number;
    reason: string;
    wasClean: boolean;
}

/** The recipe's object, over this package's connection. */
export declare class WsConnect {
    constructor(url: string, options?: ConnectionOptions);

    url: string;
    /** Pause between two heartbeats, ms; read by createWS(). */
    heart_check_time: number;
    /** How long a heartbeat waits for its answer, ms; read by createWS(). */
    reconnect_time: number;

    /** Called for each connection, so again after each reconnection. */
    onopen: (event: Event) => void;
    /** Every frame but the heartbeat; keys that were acknowledged, once. */
    onmessage: (res: Frame) => void;
    /** Called after closeConnect(), and for no other end. */
    onclose: (event: CloseNotice) => void;
    onerror: (event: unknown) => void;

    /** The WebSocket of the moment, or null. */
    readonly ws: WebSocket | null;
    readonly is_listen: boolean;

    createWS(): void;
    /**
     * 234 with a send_id is kept and repeated until it is answered; 237 is
     * sent in batches; anything else leaves at once or, without a connection,
     * not at all.
     */
    sendMessage(data: unknown, code?: number, msg?: string): void;
    closeConnect(): void;
    /** Gives up the present connection for a new one. */
    reconnect(): void;
}
