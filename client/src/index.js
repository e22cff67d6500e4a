// The package: a chat client, and the object that the recipe's pages use.

export { ChatClient } from './chat-client.js';
export { Code } from './protocol.js';
export { SendError } from './send-error.js';
export { WsConnect } from './ws-connect.js';
