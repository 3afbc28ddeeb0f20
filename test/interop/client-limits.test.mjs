// Payloads at the limit, and what the client offers around an emit: volatile,
// timeouts, retries.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes } from "./lib/bytes.mjs";
import { everyClient } from "./lib/matrix.mjs";

const limit = 1_000_000;
// What surrounds the text: the two packet types, the acknowledgement id, the event's name.
const frame = '420["echo",""]'.length;

everyClient(({ release, transport, dial, connect }) => {
  test("sends text up to the limit", async () => {
    const client = await connect();
    if (transport === "upgrade") await client.upgraded();
    for (const size of [limit - frame, limit - frame - 1, 100_000]) {
      const text = "é".repeat(100) + "x".repeat(size - 200);
      // Acknowledgement ids count up from 0: one digit.
      const [back] = await client.request("echo", text);
      assert.equal(back === text, true, `text of ${size} bytes came back with ${back.length} characters`);
    }
  });

  test("sends binary up to the limit", async () => {
    const client = await connect();
    if (transport === "upgrade") await client.upgraded();
    // Polling carries binary in base64, three bytes as four, after a "b"; the
    // event that announces it may travel in the same request.
    const data = bytes(transport === "polling" ? 749_800 : limit);
    const [back] = await client.request("echo", data);
    assert.equal(back.equals(data), true, "the attachment came back different");
  });

  // proves: T-14
  test("is cut off above the limit, alone", async () => {
    const [client, other] = await Promise.all([connect(), connect()]);
    if (transport === "upgrade") await client.upgraded();
    const reason = client.disconnected();
    client.emit("echo", "x".repeat(limit));
    assert.equal(await reason, transport === "polling" ? "transport error" : "transport close");
    assert.deepEqual(await other.request("echo", "alive"), ["alive"]);
  });

  test("receives more at once than it may send", async () => {
    const [client, ...senders] = await Promise.all(Array.from({ length: 5 }, () => connect()));
    const part = "y".repeat(limit * 0.9);
    for (const sender of senders) sender.emit("room", client.id, part);
    const received = await client.receive("msg", senders.length);
    assert.equal(received.every(([back]) => back === part), true);
  });

  test("drops volatile events while it is not connected", async () => {
    const client = dial();
    client.socket.volatile.emit("message", "dropped");
    client.emit("message", "kept");
    assert.deepEqual(await client.receive("message-back"), [["kept"]]);
    await client.request("echo");
    assert.equal(client.received("message-back").length, 1);
  });

  test("receives a volatile event when nothing is in its way", async () => {
    const client = await connect();
    if (transport === "upgrade") await client.upgraded();
    if (transport === "polling") return; // whether a poll is waiting is a matter of luck
    await client.op("emit", { volatile: true, rooms: [client.id], event: "now", args: [bytes(3), { n: 1 }] });
    assert.deepEqual(await client.receive("now"), [[bytes(3), { n: 1 }]]);
  });

  // Since 4.4, 4.6 and 4.6 of the client.
  test("gives up waiting for an acknowledgement, and takes one in time", { skip: release !== "sio48" }, async () => {
    const { socket } = await connect();
    await assert.rejects(socket.timeout(50).emitWithAck("slow", 500), /timed out/);
    assert.equal(await socket.timeout(10_000).emitWithAck("echo", "in time"), "in time");
    assert.equal(await socket.emitWithAck("echo", "no limit"), "no limit");
  });

  test("retries what is not acknowledged, in order", { skip: release !== "sio48" }, async () => {
    const client = await connect({ retries: 2, ackTimeout: 10_000 });
    const answer = (event, ...args) =>
      new Promise((resolve, reject) =>
        client.emit(event, ...args, (error, ...reply) => (error ? reject(error) : resolve(reply))),
      );
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    assert.deepEqual(await Promise.all(numbers.map((i) => answer("message-with-ack", i))), numbers.map((i) => [i]));
  });

  test("retries across a refusal to answer", { skip: release !== "sio48" }, async () => {
    const client = await connect({ retries: 1, ackTimeout: 60 });
    const attempts = new Promise((resolve) => client.emit("nobody answers this", resolve));
    assert.match(String(await attempts), /timed out/);
  });
});
