// Connecting, namespaces and rooms, as the JavaScript client sees them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { everyClient } from "./lib/matrix.mjs";

everyClient(({ transport, dial, connect }) => {
  // proves: T-01
  test("connects over the transport asked for", async () => {
    const client = await connect();
    await (transport === "upgrade" ? client.upgraded() : undefined);
    assert.equal(client.transport, transport === "polling" ? "polling" : "websocket");
  });

  // proves: T-30
  test("gets a socket id that is not the id of its session", async () => {
    const client = await connect();
    assert.match(client.id, /^[\w-]{20}$/);
    assert.notEqual(client.id, client.socket.io.engine.id);
    const [{ id, rooms, recovered }] = await client.request("whoami");
    assert.deepEqual({ id, rooms, recovered }, { id: client.id, rooms: [client.id], recovered: false });
  });

  test("sends an auth payload", async () => {
    const auth = { token: "péché 🐟", nested: { list: [1, null, "two"] }, empty: {} };
    const client = await connect({ auth });
    assert.deepEqual(await client.receive("auth"), [[auth]]);
  });

  test("sends an auth payload computed while connecting", async () => {
    const client = await connect({ auth: (callback) => setTimeout(callback, 5, { at: 42 }) });
    assert.deepEqual(await client.receive("auth"), [[{ at: 42 }]]);
  });

  test("may leave the auth payload out", async () => {
    const client = await connect();
    assert.deepEqual(await client.receive("auth"), [[{}]]);
  });

  // proves: T-69
  test("shows its query and auth payload to the server", async () => {
    const client = await connect({ query: { lang: "fr", odd: "a&b=c é" }, auth: { token: "t" } });
    const [socket] = await client.op("fetchSockets", { rooms: [client.id] });
    assert.deepEqual(socket.handshake.auth, { token: "t" });
    assert.equal(socket.handshake.query.lang, "fr");
    assert.equal(socket.handshake.query.odd, "a&b=c é");
  });

  // proves: T-44
  test("enters several namespaces over one connection", async () => {
    const main = await connect();
    const custom = await main.enter("/custom", { auth: { who: "custom" } });
    const dynamic = await main.enter("/dyn-7", { auth: { who: "dynamic" } });
    assert.deepEqual(await custom.receive("auth"), [[{ who: "custom" }]]);
    assert.deepEqual(await dynamic.receive("auth"), [[{ who: "dynamic" }]]);
    assert.equal(new Set([main.id, custom.id, dynamic.id]).size, 3);
    assert.deepEqual(await dynamic.request("echo", "dynamic"), ["dynamic"]);
    assert.deepEqual(await main.request("echo", "main"), ["main"]);
  });

  test("leaves one namespace and stays in the others", async () => {
    const main = await connect();
    const dynamic = await main.enter("/dyn-7");
    const first = dynamic.id;
    dynamic.close();
    assert.deepEqual(await main.request("echo", "still here"), ["still here"]);
    await dynamic.connect();
    assert.notEqual(dynamic.id, first);
    assert.deepEqual(await dynamic.request("echo", "back"), ["back"]);
  });

  test("connects to a namespace before the main one", async () => {
    const custom = await connect({ nsp: "/custom", auth: { only: true } });
    assert.deepEqual(await custom.receive("auth"), [[{ only: true }]]);
  });

  // proves: T-41
  test("is refused by a middleware with a message and data", async () => {
    const error = await dial({ nsp: "/guarded", auth: { token: "wrong" } }).refused();
    assert.equal(error.message, "not authorized");
    assert.deepEqual(error.data, { code: "E_AUTH" });
  });

  test("is let in by the same middleware, on a connection that was refused before", async () => {
    const main = await connect();
    const guarded = main.share("/guarded", { auth: { token: "wrong" } });
    await guarded.refused();
    guarded.socket.auth = { token: "let-me-in" };
    await guarded.connect();
    assert.deepEqual(await main.request("echo", 1), [1]);
  });

  for (const nsp of ["/unknown", "/dyn-x", "/dyn-", "/custom/", "/Custom", "/dyn-7x"]) {
    // proves: T-40
    test(`is refused in the unknown namespace ${nsp}`, async () => {
      const error = await dial({ nsp }).refused();
      assert.equal(error.message, "Invalid namespace");
    });
  }

  test("joins and leaves rooms", async () => {
    const [inside, outside] = await Promise.all([connect(), connect()]);
    await inside.request("join", "red");
    outside.emit("room", "red", { n: 1 });
    assert.deepEqual(await inside.receive("msg"), [[{ n: 1 }]]);

    await inside.request("leave", "red");
    outside.emit("room", "red", { n: 2 });
    outside.emit("bcast", "everybody");
    assert.deepEqual(await inside.receive("msg", 2), [[{ n: 1 }], ["everybody"]]);
    assert.deepEqual(await outside.receive("msg"), [["everybody"]]);
    const [{ rooms }] = await inside.request("whoami");
    assert.deepEqual(rooms, [inside.id]);
  });

  test("is left out of a broadcast of its own", async () => {
    const [speaker, listener] = await Promise.all([connect(), connect()]);
    await speaker.request("join", "blue");
    await listener.request("join", "blue");
    await speaker.op("emit", { self: true, event: "all", args: [1] });
    await speaker.op("emit", { self: true, rooms: ["blue"], event: "blue", args: [2] });
    assert.deepEqual(await listener.receive("all"), [[1]]);
    assert.deepEqual(await listener.receive("blue"), [[2]]);
    assert.deepEqual([...speaker.received("all"), ...speaker.received("blue")], []);
  });
});
