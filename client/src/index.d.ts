export { ChatClient } from './chat-client.js';
export type {
    ChatClientEvents, ChatClientOptions, ConnectionOptions, ConnectionState,
    Environment, Identity, News, OutgoingMessage, SendId, Stored, Url,
} from './chat-client.js';
export { Code } from './protocol.js';
export type { Frame } from './protocol.js';
export { SendError } from './send-error.js';
export type { SendErrorCode } from './send-error.js';
export { WsConnect } from './ws-connect.js';
export type { CloseNotice } from './ws-connect.js';
