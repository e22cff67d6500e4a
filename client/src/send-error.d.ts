/**
 * - `refused`: the server answered 300; `message` is its reason
 * - `full`: the outbox is at its limit, nothing was sent
 * - `too_large`: longer than the server takes
 * - `duplicate`: this send_id is still waiting for its answer
 * - `invalid`: chat_id is missing, or the message cannot be written as JSON
 * - `closed`: close() came first; the message may or may not be stored
 */
export type SendErrorCode =
    'refused' | 'full' | 'too_large' | 'duplicate' | 'invalid' | 'closed';

export declare class SendError extends Error {
    constructor(code: SendErrorCode, message: string,
                sendId?: string | number);
    readonly name: 'SendError';
    readonly code: SendErrorCode;
    /** Missing where there was none yet. */
    readonly sendId: string | number | undefined;
}
