// Peer of `make bench`: socket.io with its Redis adapter. A room for each
// group; the sender's acknowledgement says that the message was taken, nothing
// is stored. Settings by environment: PORT, REDIS_SOCKET, TLS_CERT and
// TLS_KEY, DEFLATE=1.
"use strict";

const fs = require("fs");
const http = require("http");
const https = require("https");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

const env = process.env;

async function main() {
    const publisher = createClient({ socket: { path: env.REDIS_SOCKET } });
    const subscriber = publisher.duplicate();
    await Promise.all([publisher.connect(), subscriber.connect()]);

    const server = env.TLS_CERT
        ? https.createServer({
            cert: fs.readFileSync(env.TLS_CERT),
            key: fs.readFileSync(env.TLS_KEY),
        })
        : http.createServer();
    const io = new Server(server, {
        adapter: createAdapter(publisher, subscriber),
        transports: ["websocket"],
        serveClient: false,
        perMessageDeflate: env.DEFLATE === "1" ? { threshold: 256 } : false,
    });

    io.on("connection", (socket) => {
        const group = socket.handshake.query.group;
        socket.join(group);
        socket.on("send", (content, taken) => {
            io.to(group).emit("news", content);
            taken();
        });
        socket.on("heartbeat", (taken) => taken());
    });

    server.listen({ port: Number(env.PORT), host: "127.0.0.1", backlog: 4096 });
}

main();
