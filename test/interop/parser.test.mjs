// The MessagePack parser of the reference, at both ends.

import assert from "node:assert/strict";
import { test } from "node:test";
import parser from "socket.io-msgpack-parser";
import { bytes } from "./lib/bytes.mjs";
import { everyClient } from "./lib/matrix.mjs";

everyClient(define, { env: { PARSER: "msgpack" } });

function define({ transport, connect, dial }) {
  const options = { parser };

  // proves: T-65, T-77
  test("echoes values of every kind", async () => {
    const client = await connect(options);
    const values = ["péché 🐟 \u0000", "", 0, -1, 0.1, 2 ** 31, 2 ** 40, -(2 ** 40), 2 ** 53 - 1, true, null, [], {}, { a: [{ "": [1] }] }];
    assert.deepEqual(await client.request("echo", ...values), values);
    client.emit("message", ...values);
    assert.deepEqual(await client.receive("message-back"), [values]);
  });

  // proves: T-65
  test("echoes binary among other values", async () => {
    const client = await connect(options);
    const args = [bytes(0), { deep: [bytes(300), "text"] }, bytes(70_000), ...Array.from({ length: 20 }, (_, i) => bytes(i))];
    assert.deepEqual(await client.request("echo", ...args), args);
  });

  test("answers inside a handler", async () => {
    const client = await connect(options);
    client.socket.on("question", (a, data, ack) => ack({ a, data }));
    assert.deepEqual(await client.request("ask-me", "question", 1, bytes(3)), [{ reply: { a: 1, data: bytes(3) } }]);
  });

  test("enters namespaces and rooms", async () => {
    const main = await connect({ ...options, auth: { token: "péché" } });
    assert.deepEqual(await main.receive("auth"), [[{ token: "péché" }]]);
    const dynamic = await main.enter("/dyn-7");
    await dynamic.request("join", "red");
    dynamic.emit("room", "red", { n: 1 });
    assert.deepEqual(await dynamic.receive("msg"), [[{ n: 1 }]]);
    assert.deepEqual(main.received("msg"), []);
  });

  test("is refused with a message and data", async () => {
    const error = await dial({ ...options, nsp: "/guarded" }).refused();
    assert.equal(error.message, "not authorized");
    assert.deepEqual(error.data, { code: "E_AUTH" });
  });

  test("keeps 300 messages in order", async () => {
    const client = await connect(options);
    for (let i = 0; i < 300; i++) client.emit("message", i % 2 ? i : { i, data: bytes(2) });
    if (transport === "upgrade") await client.upgraded();
    const back = await client.receive("message-back", 300);
    assert.deepEqual(back, Array.from({ length: 300 }, (_, i) => [i % 2 ? i : { i, data: bytes(2) }]));
  });
}
