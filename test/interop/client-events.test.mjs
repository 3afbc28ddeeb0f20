// Events, acknowledgements, binary and order, as the JavaScript client sees them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { everyClient } from "./lib/matrix.mjs";
import { bytes } from "./lib/bytes.mjs";

const values = {
  text: ["", "plain", "péché 日本語 🐟 𝒳", "\u2028\u2029\u0000\u001e\u007f\"\\/</script>", "\ud800 alone"],
  numbers: [0, 1, -1, 0.1, -1.5e-7, 1e21, 1e300, 2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 53, 12345678901234567890],
  constants: [true, false, null],
  containers: [[], {}, [[[]]], { "": "", a: { b: { c: [1, { d: null }] } } }],
  keys: [JSON.parse('{"__proto__":1,"constructor":2,"toString":3,"with space":4,"日本":5,"num":6}')],
  order: [{ z: 1, a: 2, m: { y: 1, b: 2 } }],
  placeholders: [{ _placeholder: false, num: 0 }, { num: 3 }],
};

const eventNames = ["", " ", "日本語 🐟", "with\nnewline", 'quote"d', "__proto__", "constructor", "error", "message", "0"];
const reservedNames = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

everyClient(define, { expected: /panic in a handler/ });

function define({ transport, connect }) {
  for (const [kind, list] of Object.entries(values)) {
    test(`echoes ${kind} unchanged`, async () => {
      const client = await connect();
      assert.deepEqual(await client.request("echo", ...list), list);
      client.emit("message", ...list);
      assert.deepEqual(await client.receive("message-back"), [list]);
      assert.equal(JSON.stringify(client.received("message-back")[0]), JSON.stringify(list));
    });
  }

  test("sends events without arguments", async () => {
    const client = await connect();
    client.emit("message");
    assert.deepEqual(await client.receive("message-back"), [[]]);
    assert.deepEqual(await client.request("echo"), []);
  });

  test("answers each of many acknowledgements in flight with its own arguments", async () => {
    const client = await connect();
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const answers = await Promise.all(numbers.map((i) => client.request("message-with-ack", i, { i }, bytes(i))));
    assert.deepEqual(answers, numbers.map((i) => [i, { i }, bytes(i)]));
  });

  test("acknowledges from a handler that waits", async () => {
    const client = await connect();
    const answers = await Promise.all([client.request("slow", 30), client.request("slow", 5), client.request("echo", "x")]);
    assert.deepEqual(answers, [[30], [5], ["x"]]);
  });

  // proves: T-56
  test("is asked for an acknowledgement inside a handler", async () => {
    const client = await connect();
    client.socket.on("question", (a, b, ack) => ack({ sum: a + b }));
    assert.deepEqual(await client.request("ask-me", "question", 2, 3), [{ reply: { sum: 5 } }]);
  });

  test("is asked with and answers in binary inside a handler", async () => {
    const client = await connect();
    client.socket.on("question", (data, ack) => ack(Buffer.concat([data, data])));
    assert.deepEqual(await client.request("ask-me", "question", bytes(5)), [{ reply: Buffer.concat([bytes(5), bytes(5)]) }]);
  });

  test("keeps being served while a handler waits for its answer", async () => {
    const client = await connect();
    const [ack] = await Promise.all([
      new Promise((resolve) => client.socket.once("question", resolve)),
      client.emit("ask-me", "question", (reply) => (client.reply = reply)),
    ]);
    for (let i = 0; i < 200; i++) client.emit("message", i);
    ack("at last");
    const back = await client.receive("message-back", 200);
    assert.deepEqual(back.flat(), Array.from({ length: 200 }, (_, i) => i));
    await client.request("echo");
    assert.deepEqual(client.reply, { reply: "at last" });
  });

  test("makes the handler's wait fail by not answering", async () => {
    const client = await connect();
    const [{ error, reply }] = await client.request("ask-me", "nobody answers this");
    assert.equal(typeof error, "string");
    assert.equal(reply, undefined);
  });

  test("receives events with odd names", async () => {
    const client = await connect();
    for (const name of eventNames) {
      client.socket.once(name, (arg, ack) => ack(`${name} ${arg}`));
      assert.deepEqual(await client.request("ask-me", name, "asked"), [{ reply: `${name} asked` }], JSON.stringify(name));
    }
  });

  // proves: T-62
  test("never receives an event with a reserved name", async () => {
    const client = await connect();
    for (const name of reservedNames) {
      const [{ error, reply }] = await client.request("ask-me", name);
      assert.equal(typeof error, "string", name);
      assert.equal(reply, undefined, name);
    }
    assert.equal(client.socket.connected, true);
  });

  test("may send events with odd names that nobody handles", async () => {
    const client = await connect();
    for (const name of eventNames.filter((name) => name !== "message")) client.emit(name, "ignored");
    assert.deepEqual(await client.request("echo", "served"), ["served"]);
  });

  test("sends and receives binary", async () => {
    const client = await connect();
    for (const data of [bytes(0), bytes(1), bytes(256), bytes(70_000)]) {
      assert.deepEqual(await client.request("echo", data), [data]);
      client.emit("message", data);
      assert.deepEqual((await client.receive("message-back")).at(-1), [data]);
      client.forget();
    }
  });

  test("sends typed arrays and array buffers", async () => {
    const client = await connect();
    const data = bytes(9);
    assert.deepEqual(await client.request("echo", new Uint8Array(data)), [data]);
    assert.deepEqual(await client.request("echo", new Uint8Array(data).buffer), [data]);
  });

  test("sends nested binary with several attachments", async () => {
    const client = await connect();
    const args = [
      { name: "a", parts: [bytes(3), { deep: [bytes(0), "text", bytes(4)] }] },
      "between",
      bytes(5),
      { none: null, last: bytes(6) },
    ];
    assert.deepEqual(await client.request("message-with-ack", ...args), args);
    client.emit("message", ...args);
    assert.deepEqual(await client.receive("message-back"), [args]);
  });

  // proves: T-63
  test("sends as many attachments as its parser allows", async () => {
    const client = await connect();
    const args = Array.from({ length: 10 }, (_, i) => bytes(i + 1));
    assert.deepEqual(await client.request("echo", ...args), args);
  });

  test("keeps text and binary in order when they interleave", async () => {
    const client = await connect();
    const args = Array.from({ length: 200 }, (_, i) => (i % 3 ? [i, `text ${i}`] : [i, bytes(i), { more: [bytes(2)] }]));
    for (const list of args) client.emit("message", ...list);
    assert.deepEqual(await client.receive("message-back", args.length), args);
  });

  // proves: T-73
  test("keeps 1,000 messages in order, from the first moment on", async () => {
    const client = await connect();
    for (let i = 0; i < 500; i++) client.emit("message", i);
    if (transport === "upgrade") await client.upgraded();
    for (let i = 500; i < 1000; i++) client.emit("message", i);
    const back = await client.receive("message-back", 1000);
    assert.deepEqual(back.flat(), Array.from({ length: 1000 }, (_, i) => i));
    await client.request("echo");
    assert.equal(client.received("message-back").length, 1000);
  });

  // proves: T-71, J-40
  test("survives a handler that panics, and so does everybody else", async () => {
    const [client, other] = await Promise.all([connect(), connect()]);
    client.emit("panic");
    assert.deepEqual(await client.request("echo", "alive"), ["alive"]);
    assert.deepEqual(await other.request("echo", "alive"), ["alive"]);
  });
}
