// A Node.js server that keeps the contract of test/conformance: the same
// environment, events and namespaces, so that one test drives a Dunlin node,
// a Node.js node, or a cluster that mixes them.

import { createServer } from "node:http";
import { Server as Engine } from "engine.io";
import { Server } from "socket.io";
import msgpackParser from "socket.io-msgpack-parser";
import { Bus } from "./member-bus.mjs";
import { operate } from "./member-op.mjs";

const env = process.env;
const port = Number(env.PORT ?? 3000);
const node = env.NODE_NAME ?? "node-1";

const transport = {
  pingInterval: Number(env.PING_INTERVAL ?? 300),
  pingTimeout: Number(env.PING_TIMEOUT ?? 200),
  maxHttpBufferSize: Number(env.MAX_PAYLOAD ?? 1_000_000),
  allowEIO3: env.EIO3 === "1",
  cors: { origin: "*" },
};

// bus joins the member to its cluster; a single node has none.
const bus = env.REDIS_URL && new Bus(env.REDIS_URL, env.ADAPTER ?? "classic", env.DUNLIN_ROUTING);

const http = createServer();
const engine = new Engine(transport);
engine.attach(http, { path: "/engine.io/", destroyUpgrade: false });
engine.on("connection", (session) => {
  session.on("message", (data) => session.send(data));
});

const io = new Server(http, {
  ...transport,
  // What the Socket.IO protocol suite expects of a client that never connects.
  connectTimeout: 1000,
  ...(bus && { adapter: bus.adapter }),
  ...(env.PARSER === "msgpack" && { parser: msgpackParser }),
  ...(env.RECOVERY === "1" && { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } }),
});

function serveAuth(nsp) {
  nsp.on("connection", (socket) => socket.emit("auth", socket.handshake.auth));
}

// servePlayground answers the events that / and /playground have in common.
function servePlayground(nsp) {
  nsp.on("connection", (socket) => {
    socket.on("echo", (...args) => args.pop()(...args));
    socket.on("bcast", (payload) => nsp.emit("msg", payload));
    socket.on("room", (room, payload) => nsp.to(room).emit("msg", payload));
    socket.on("join", async (room, ack) => {
      await socket.join(room);
      await bus?.subscribed();
      ack();
    });
    socket.on("leave", async (room, ack) => {
      await socket.leave(room);
      await bus?.subscribed();
      ack();
    });
    socket.on("whoami", (ack) => {
      ack({ id: socket.id, node, rooms: [...socket.rooms], recovered: socket.recovered });
    });
  });
}

function serveTestEvents(nsp) {
  nsp.on("connection", (socket) => {
    socket.on("message", (...args) => socket.emit("message-back", ...args));
    socket.on("message-with-ack", (...args) => args.pop()(...args));
    socket.on("set-data", (value, ack) => {
      socket.data = value;
      ack();
    });
    socket.on("slow", (ms, ack) => setTimeout(ack, ms, ms));
    socket.on("panic", () => {
      // An exception that leaves a listener ends a Node.js process, so the
      // member has to do what the contract promises by hand.
      try {
        throw new Error("panic asked for by the client");
      } catch {}
    });
    socket.on("ask-me", async (event, ...rest) => {
      const ack = rest.pop();
      try {
        ack({ reply: await socket.timeout(1000).emitWithAck(event, ...rest) });
      } catch (error) {
        ack({ error: error.message });
      }
    });
    socket.on("op", async (request, ack) => {
      try {
        ack({ ok: true, result: (await operate(io, socket, request)) ?? null });
      } catch (error) {
        ack({ ok: false, error: error.message, partial: error.responses });
      }
    });
  });
}

function serveServerSide(nsp) {
  nsp.on("ping", (x, ack) => ack?.(`${node}:${x}`));
  nsp.on("note", (...args) => nsp.local.to("notes").emit("note", node, ...args));
}

serveAuth(io);
servePlayground(io);
serveTestEvents(io);
serveServerSide(io);

serveAuth(io.of("/custom"));
servePlayground(io.of("/playground"));

const dynamic = io.of(/^\/dyn-\d+$/);
serveAuth(dynamic);
servePlayground(dynamic);
serveTestEvents(dynamic);
// Only events of sockets are inherited from the pattern.
io.on("new_namespace", (nsp) => {
  if (nsp.name.startsWith("/dyn-")) serveServerSide(nsp);
});

io.of("/guarded").use((socket, next) => {
  if (socket.handshake.auth.token === "let-me-in") return next();
  next(Object.assign(new Error("not authorized"), { data: { code: "E_AUTH" } }));
});

http.listen(port, "127.0.0.1", async () => {
  await bus?.ready();
  console.log(`ready http://127.0.0.1:${port}`);
});

process.once("SIGTERM", async () => {
  engine.close();
  await io.close();
  bus?.close();
  process.exit(0);
});
