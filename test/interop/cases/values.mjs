// What messages carry from node to node: values of every kind, large ones, flags.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { bytes } from "../lib/bytes.mjs";
import { Crowd } from "../lib/crowd.mjs";

const texts = ["", " ", "péché 🐟 \u0000 \u2028 \ufffe \u007f", '"\\/\b\f\n\r\t', "</script>", "𐀀".repeat(40), "x".repeat(70_000)];
// No integer of 2^64 or more: the reference corrupts those in MessagePack.
const integers = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 53 - 1];
const numbers = [...integers, ...integers.slice(1).map((n) => -n), 0.1, -1.5e-300, 123_456.789];
const shapes = [true, false, null, [], {}, [[]], { "": 0 }, { a: { b: [{ c: null }] } }, { constructor: 1, toString: "x" }];

/** Defines the cases. */
export function values({ cluster, origin, mode, kinds }) {
  let crowd, asking, far, farther;
  beforeEach(async () => {
    crowd = await Crowd.gather(cluster());
    asking = crowd.at(origin);
    [far, farther] = [0, 1, 2].filter((n) => n !== origin);
  });
  afterEach(() => crowd.disperse());

  // A message with binary is encoded otherwise than one without.
  for (const [kind, extra] of [["text", []], ["binary", [bytes(7)]]]) {
    // proves: T-107
    test(`arrive beside ${kind} as they were sent`, async () => {
      for (const args of [texts, numbers, shapes, [shapes, numbers, { texts }]]) {
        await crowd.expect(asking, crowd.all, {}, [...args, ...extra]);
      }
    });

    // proves: T-107
    test(`come back in acknowledgements beside ${kind}`, async () => {
      const target = crowd.at(far);
      target.socket.on("ask", (i, ack) => ack([texts, numbers, shapes, ...extra][i]));
      for (const [i, value] of [texts, numbers, shapes, ...extra].entries()) {
        const request = { rooms: [target.id], event: "ask", args: [i], timeoutMs: 10_000 };
        assert.deepEqual(await asking.op("emitWithAck", request), [value]);
      }
    });
  }

  test("may be missing from acknowledgements", async () => {
    for (const { socket } of crowd.all) socket.on("ask", (ack) => ack());
    const replies = await asking.op("emitWithAck", { event: "ask", timeoutMs: 10_000 });
    // With the reference's MessagePack parser it is undefined.
    assert.deepEqual(replies.map((reply) => reply ?? null), crowd.all.map(() => null));
  });

  test("nest deeply", async () => {
    let deep = "bottom";
    for (let i = 0; i < 40; i++) deep = i % 2 ? [deep] : { deep };
    await crowd.expect(asking, crowd.all, {}, [deep]);
    await crowd.expect(asking, crowd.all, {}, [deep, bytes(3)]);
  });

  test("may be 1 MiB in size", async () => {
    const text = "péché 🐟".repeat((1 << 20) / 13);
    const room = [asking, crowd.at(far), crowd.at(farther)];
    await crowd.join(room, "red");
    await crowd.expect(asking, room, { rooms: ["red"] }, [text]);
    await crowd.expect(asking, room, { rooms: ["red"] }, [bytes(1 << 20), { text: "short" }]);
    room.forEach(({ socket }) => socket.on("ask", (data, ack) => ack(data)));
    const request = { rooms: [crowd.at(far).id], event: "ask", timeoutMs: 10_000 };
    assert.deepEqual(await asking.op("emitWithAck", { ...request, args: [bytes(1 << 20)] }), [bytes(1 << 20)]);
    assert.deepEqual(await asking.op("emitWithAck", { ...request, args: [text] }), [text]);
  });

  // proves: T-70, J-83
  test("are seen as the data of a socket on another node", async () => {
    const target = crowd.at(far);
    const data = async () => (await asking.op("fetchSockets", { rooms: [target.id] })).map((socket) => socket.data);
    assert.deepEqual(await data(), [{}]);
    for (const value of [{ texts, numbers, shapes }, [], "text", 0, false]) {
      await target.request("set-data", value);
      assert.deepEqual(await data(), [value]);
    }
    await target.request("set-data", { blob: bytes(3), n: 1 });
    // To Dunlin data is JSON, in which Go writes bytes as base64 and Node.js as an object.
    const blob = kinds[far] === "dunlin" ? bytes(3).toString("base64") : kinds[origin] === "dunlin" ? inJSON(bytes(3)) : asInRequests(bytes(3));
    assert.deepEqual(await data(), [{ blob, n: 1 }]);
  });

  // proves: T-101
  test("reach the other nodes' processes", async () => {
    await crowd.join([crowd.at(far), crowd.at(farther)], "notes");
    const args = [texts, numbers, shapes];
    await asking.op("serverSideEmit", { event: "note", args });
    await asking.op("serverSideEmit", { event: "note", args: [bytes(300), { deep: [bytes(0)] }] });
    await asking.op("serverSideEmit", { event: "note" });
    for (const client of [crowd.at(far), crowd.at(farther)]) {
      assert.deepEqual(await client.receive("note", 3), [
        [client.node.name, ...args],
        [client.node.name, asInRequests(bytes(300)), { deep: [asInRequests(bytes(0))] }],
        [client.node.name],
      ]);
    }
  });

  test("arrive whether they may be compressed or not", async () => {
    for (const compress of [true, false]) {
      await crowd.expect(asking, crowd.all, { compress }, ["x".repeat(3000)]);
      await crowd.expect(asking, crowd.all, { compress, volatile: true }, [bytes(3000)]);
      await crowd.expect(asking, [crowd.at(far)], { compress, rooms: [crowd.at(far).id] }, ["x"]);
    }
  });

  // asInRequests is a buffer as a node sees it in another node's request or
  // answer: those of the classic adapter are JSON.
  function asInRequests(buffer) {
    return mode === "classic" ? inJSON(buffer) : buffer;
  }
}

function inJSON(value) {
  return JSON.parse(JSON.stringify(value));
}
