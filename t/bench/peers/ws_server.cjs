// Peer of `make bench`: the npm package ws. A message goes to every
// connection with the same path; the text "ping" is answered "pong".
// Settings by environment: PORT, TLS_CERT and TLS_KEY, DEFLATE=1.
"use strict";

const fs = require("fs");
const http = require("http");
const https = require("https");
const { WebSocketServer } = require("ws");

const env = process.env;
const server = env.TLS_CERT
    ? https.createServer({
        cert: fs.readFileSync(env.TLS_CERT),
        key: fs.readFileSync(env.TLS_KEY),
    })
    : http.createServer();

const sockets = new WebSocketServer({
    server,
    perMessageDeflate: env.DEFLATE === "1" ? { threshold: 256 } : false,
});
const groups = new Map();

sockets.on("connection", (socket, request) => {
    const path = request.url;
    if (!groups.has(path)) {
        groups.set(path, new Set());
    }
    const group = groups.get(path);
    group.add(socket);

    socket.on("message", (data) => {
        const text = data.toString();
        if (text === "ping") {
            socket.send("pong");
            return;
        }
        for (const member of group) {
            member.send(text);
        }
    });
    socket.on("error", () => {});
    socket.on("close", () => group.delete(socket));
});

server.listen({ port: Number(env.PORT), host: "127.0.0.1", backlog: 4096 });
