// Peer of `make bench`: uWebSockets, as it comes with Bun from npm. A message
// is published to every connection with the same path; "ping" is answered
// "pong". Settings by environment: PORT, TLS_CERT and TLS_KEY, DEFLATE=1.
"use strict";

const env = process.env;

const server = Bun.serve({
    port: Number(env.PORT),
    hostname: "127.0.0.1",
    tls: env.TLS_CERT
        ? { cert: Bun.file(env.TLS_CERT), key: Bun.file(env.TLS_KEY) }
        : undefined,
    fetch(request, self) {
        const { pathname } = new URL(request.url);
        if (!self.upgrade(request, { data: pathname })) {
            return new Response("WebSocket only", { status: 400 });
        }
        return undefined;
    },
    websocket: {
        perMessageDeflate: env.DEFLATE === "1",
        idleTimeout: 60,
        open(socket) {
            socket.subscribe(socket.data);
        },
        message(socket, text) {
            if (text === "ping") {
                socket.send("pong");
            } else {
                server.publish(socket.data, text, env.DEFLATE === "1");
            }
        },
    },
});
