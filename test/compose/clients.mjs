// Official clients behind the balancer of docker-compose.yml: node clients.mjs
// URL COMPOSE-COMMAND... They meet across nodes, lose a node, and go on.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";

const run = promisify(execFile);
const require = createRequire(new URL("../interop/package.json", import.meta.url));
const { io } = require("sio48");

const [url, ...compose] = process.argv.slice(2);
const STOPPED = "node1";

// within rejects when the promise is not settled in time: no wait is endless.
function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const once = (socket, event) => new Promise((resolve) => socket.once(event, resolve));

const ask = (socket, ...args) => socket.timeout(10_000).emitWithAck(...args);

// inboxes holds what each socket heard and nobody has asked for yet.
const inboxes = new WeakMap();

async function nextMessage(socket) {
  const inbox = inboxes.get(socket);
  while (inbox.length === 0) await within(10_000, "message", once(socket, "msg"));
  return inbox.shift();
}

async function connect(transports) {
  // Each client has cookies of its own, as each browser has.
  const socket = io(url, {
    transports,
    forceNew: true,
    withCredentials: true,
    reconnectionDelay: 100,
    reconnectionDelayMax: 1000,
  });
  inboxes.set(socket, []);
  socket.on("msg", (payload) => inboxes.get(socket).push(payload));
  await within(30_000, `connect over ${transports}`, once(socket, "connect"));
  return socket;
}

async function nodesOf(sockets) {
  const answers = await Promise.all(sockets.map((socket) => ask(socket, "whoami")));
  return answers.map((answer) => answer.node);
}

// connectUntil adds WebSocket clients until they are spread over count nodes.
async function connectUntil(count) {
  const sockets = [];
  const deadline = Date.now() + 60_000;
  for (;;) {
    sockets.push(await connect(["websocket"]));
    const nodes = new Set(await nodesOf(sockets));
    if (nodes.size === count) return sockets;
    assert.ok(Date.now() < deadline, `clients are on ${[...nodes]} only, want ${count} nodes`);
    // A node that is still starting joins the balancer between two tries.
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

// everybodyHears broadcasts from each of the senders to all.
async function everybodyHears(senders, sockets) {
  for (const sender of senders) {
    const payload = { from: sender.id, bytes: Buffer.from([0, 1, 255]) };
    sender.emit("bcast", payload);
    for (const socket of sockets) assert.deepEqual(await nextMessage(socket), payload);
  }
}

// onlyMembersHear proves an absence by order: one sender's message to the room
// comes before its message to all, so who hears only the latter was left out.
async function onlyMembersHear(members, sockets) {
  await Promise.all(members.map((socket) => ask(socket, "join", "compose")));
  members[0].emit("room", "compose", "for the room");
  members[0].emit("bcast", "for all");
  for (const socket of sockets) {
    if (members.includes(socket)) assert.equal(await nextMessage(socket), "for the room");
    assert.equal(await nextMessage(socket), "for all");
  }
}

// settle waits until every socket is back, on count nodes altogether.
async function settle(sockets, count) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      const nodes = new Set(await nodesOf(sockets));
      assert.equal(nodes.size, count, `clients are on ${[...nodes]}, want ${count} nodes`);
      return;
    } catch (error) {
      // A session may still be noticing that its node is gone.
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

const step = (text) => console.log(`- ${text}`);

const spread = await connectUntil(3);
const sockets = [...spread, await connect(["polling"]), await connect(["polling", "websocket"])];
const before = await nodesOf(sockets);
step(`${sockets.length} clients on ${[...new Set(before)].sort().join(", ")}`);

// Many requests of one polling session: each must reach the node that holds it.
const polling = sockets[spread.length];
for (let i = 0; i < 20; i++) assert.equal(await ask(polling, "echo", i), i);
assert.equal(polling.io.engine.transport.name, "polling");
step("a polling session stays on its node");

await everybodyHears(sockets, sockets);
step("broadcasts cross nodes");

const other = sockets.find((_, i) => before[i] !== before[0]);
await onlyMembersHear([sockets[0], other], sockets);
step("rooms cross nodes");

let lost = 0;
for (const socket of sockets) socket.once("disconnect", () => lost++);
await run(compose[0], [...compose.slice(1), "stop", STOPPED], { timeout: 60_000 });
const { stdout } = await run("docker", [
  "ps", "--all", "--format", "{{.Status}}",
  "--filter", `label=com.docker.compose.project=${process.env.COMPOSE_PROJECT_NAME}`,
  "--filter", `label=com.docker.compose.service=${STOPPED}`,
]);
assert.match(stdout, /^Exited \(0\)/, `${STOPPED} must exit with status 0 on SIGTERM`);
await settle(sockets, 2);
assert.ok(lost > 0, "no client was on the stopped node");
await everybodyHears(sockets, sockets);
step(`${STOPPED} stopped: ${lost} of ${sockets.length} clients moved, broadcasts go on`);

await run(compose[0], [...compose.slice(1), "start", STOPPED], { timeout: 60_000 });
const again = await connectUntil(3);
await everybodyHears(again, [...again, ...sockets]);
step(`${STOPPED} started: it is given clients again`);

for (const socket of [...sockets, ...again]) socket.close();
