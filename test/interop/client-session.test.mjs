// How connections end and come back, as the JavaScript client sees it.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { releases, transports } from "./lib/client.mjs";
import { dialer } from "./lib/matrix.mjs";
import { Proxy } from "./lib/proxy.mjs";
import { Server } from "./lib/server.mjs";
import { within } from "./lib/wait.mjs";

// reconnecting makes a client come back at once, so that tests need not wait.
const reconnecting = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50 };

for (const release of Object.keys(releases)) {
  for (const transport of Object.keys(transports)) {
    describe(`${release} over ${transport}`, () => define(release, transport));
  }
}

function define(release, transport) {
  let server;
  const { connect } = dialer(() => server, { release, transports: transports[transport] });
  const start = async (env) => (server = await Server.start({ env }));
  const settled = async (options) => {
    const client = await connect(options);
    if (transport === "upgrade") await client.upgraded();
    return client;
  };
  // Hooks run in order: the clients of the test are closed by now.
  afterEach(() => server.stop());

  test("leaves by itself", async () => {
    await start();
    const client = await settled();
    const reason = client.disconnected();
    client.close();
    assert.equal(await reason, "io client disconnect");
  });

  test("is sent away from one namespace", async () => {
    await start();
    const main = await settled();
    const dynamic = await main.enter("/dyn-7");
    const reason = dynamic.disconnected();
    await main.op("disconnectSockets", { nsp: "/dyn-7", rooms: [dynamic.id] });
    assert.equal(await reason, "io server disconnect");
    assert.deepEqual(await main.request("echo", "still here"), ["still here"]);
    await dynamic.connect();
    assert.deepEqual(await dynamic.request("echo", "back"), ["back"]);
  });

  test("is sent away with its connection", async () => {
    await start();
    const [main, other] = await Promise.all([settled(), settled()]);
    const dynamic = await main.enter("/dyn-7");
    const reasons = Promise.all([main.disconnected(), dynamic.disconnected()]);
    const closed = new Promise((resolve) => main.socket.io.once("close", resolve));
    await other.op("disconnectSockets", { rooms: [main.id], close: true });
    assert.deepEqual(await reasons, ["io server disconnect", "io server disconnect"]);
    await within(closed, "the connection to close");
    assert.deepEqual(await other.request("echo", "still here"), ["still here"]);
  });

  // proves: T-72
  test("learns that the server shuts down", async () => {
    await start();
    const client = await settled();
    const reason = client.disconnected();
    await server.stop();
    // Between two polls there is nobody to tell: the next one finds no server.
    assert.match(await reason, transport === "polling" ? /^transport (close|error)$/ : /^transport close$/);
    await server.restart();
  });

  test("comes back to a server that was killed", async () => {
    await start();
    const client = await settled(reconnecting);
    const first = client.id;
    const reason = client.disconnected();
    await server.kill();
    assert.equal(await reason, transport === "polling" ? "transport error" : "transport close");
    client.emit("message", "written while away");
    await server.restart();
    await client.reconnected();
    assert.notEqual(client.id, first);
    assert.deepEqual(await client.receive("message-back"), [["written while away"]]);
    if (transport === "upgrade") await client.upgraded();
    assert.deepEqual(await client.request("echo", "back"), ["back"]);
  });

  test("comes back with all its namespaces when the connection breaks", async () => {
    await start();
    const proxy = await Proxy.start(server.port);
    const client = await settled({ ...reconnecting, server: proxy });
    const dynamic = await client.enter("/dyn-7");
    for (let round = 0; round < 3; round++) {
      const reasons = Promise.all([client.disconnected(), dynamic.disconnected()]);
      proxy.down();
      const want = transport === "polling" ? "transport error" : "transport close";
      assert.deepEqual(await reasons, [want, want]);
      proxy.up();
      await Promise.all([client.reconnected(), dynamic.reconnected()]);
      if (transport === "upgrade") await client.upgraded();
      assert.deepEqual(await client.request("echo", round), [round]);
      assert.deepEqual(await dynamic.request("echo", round), [round]);
    }
    client.close();
    await proxy.stop();
  });

  test("notices a server that stopped answering", async () => {
    await start({ PING_INTERVAL: "300", PING_TIMEOUT: "200" });
    const client = await settled();
    const reason = client.disconnected();
    await server.freeze();
    assert.equal(await reason, "ping timeout");
    server.thaw();
  });

  // proves: T-06
  test("outlives many heartbeats", async () => {
    await start({ PING_INTERVAL: "50", PING_TIMEOUT: "5000" });
    const client = await settled();
    let pings = 0;
    const enough = new Promise((resolve) => {
      client.socket.io.engine.on("packet", ({ type }) => type === "ping" && ++pings === 5 && resolve());
    });
    await within(enough, "five pings");
    assert.deepEqual(await client.request("echo", "alive"), ["alive"]);
  });

  // Since 4.6 of the client.
  // proves: T-68
  test("recovers its session on the same node", { skip: release !== "sio48" && "since 4.6" }, async () => {
    await start({ RECOVERY: "1" });
    const proxy = await Proxy.start(server.port);
    const client = await settled({ ...reconnecting, server: proxy });
    const other = await settled();
    await client.request("join", "red");
    await client.request("set-data", { kept: true });
    other.emit("room", "red", "before");
    // With recovery on, an offset follows the arguments.
    const payloads = async (n) => (await client.receive("msg", n)).map(([payload]) => payload);
    assert.deepEqual(await payloads(1), ["before"]);
    const [{ id, rooms }] = await client.request("whoami");

    client.socket.io.reconnection(false);
    const gone = client.disconnected();
    proxy.down();
    await gone;
    proxy.up();
    other.emit("room", "red", "missed");
    other.emit("room", "blue", "not for it");
    other.emit("bcast", { missed: "too" });
    await other.receive("msg");
    await client.connect();

    assert.deepEqual(await payloads(3), ["before", "missed", { missed: "too" }]);
    const [self] = await client.request("whoami");
    assert.equal(client.socket.recovered, true);
    assert.deepEqual([self.id, self.recovered, self.rooms.sort()], [id, true, rooms.sort()]);
    const [{ data }] = await client.op("fetchSockets", { rooms: [id] });
    assert.deepEqual(data, { kept: true });
    assert.equal(client.received("msg").length, 3);
    client.close();
    await proxy.stop();
  });
}
