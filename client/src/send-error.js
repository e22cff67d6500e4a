/**
 * Why a message was not sent. `code`:
 *   refused    the server answered 300; message is its reason
 *   full       the outbox is at its limit, nothing was sent
 *   too_large  longer than the server takes, nothing was sent
 *   duplicate  this send_id is still waiting for its answer
 *   invalid    chat_id is missing, or the message cannot be written as JSON
 *   closed     close() came first: the message may or may not be stored
 */
export class SendError extends Error {
    constructor(code, message, sendId) {
        super(message);
        this.name = 'SendError';
        this.code = code;
        this.sendId = sendId;
    }
}
