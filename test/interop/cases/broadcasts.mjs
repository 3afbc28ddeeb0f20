// Broadcasts that cross nodes: who receives them, and who does not.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { bytes } from "../lib/bytes.mjs";
import { Crowd } from "../lib/crowd.mjs";

/** Defines the cases. */
export function broadcasts({ cluster, origin, askedOfDunlin }) {
  // Two clients on each node; asking is one on the node that is asked, and
  // the other nodes are far.
  let crowd, asking, far, farther;
  beforeEach(async () => {
    crowd = await Crowd.gather(cluster());
    const others = [0, 1, 2].filter((n) => n !== origin);
    asking = crowd.at(origin);
    [far, farther] = others;
  });
  afterEach(() => crowd.disperse());

  // proves: T-85, T-107
  test("reaches everybody", async () => {
    await crowd.expect(asking, crowd.all, {});
  });

  test("carries arguments of every kind", async () => {
    const args = ["péché 🐟 \u0000", 0.1, -(2 ** 40), 2 ** 53 - 1, true, null, { a: [{ "": [] }] }, []];
    await crowd.expect(asking, crowd.all, {}, args);
    await crowd.expect(asking, crowd.all, {}, []);
  });

  // proves: T-107
  test("carries binary arguments", async () => {
    await crowd.expect(asking, crowd.all, {}, [bytes(0), { deep: [bytes(300), "text", bytes(70_000)] }]);
    await crowd.expect(asking, crowd.all, {}, Array.from({ length: 10 }, (_, i) => bytes(i)));
  });

  // proves: T-86, T-107
  test("reaches a room on every node", async () => {
    const room = [asking, crowd.at(far), crowd.at(farther, 1)];
    await crowd.join(room, "red");
    await crowd.expect(asking, room, { rooms: ["red"] });
    await crowd.expect(asking, room, { rooms: ["red"] }, [bytes(5)]);
  });

  test("reaches a room on another node only", async () => {
    const room = [crowd.at(far)];
    await crowd.join(room, "red");
    await crowd.expect(asking, room, { rooms: ["red"] });
  });

  test("reaches one socket on another node by its id", async () => {
    const target = crowd.at(far, 1);
    await crowd.expect(asking, [target], { rooms: [target.id] });
  });

  test("reaches nobody in an empty room", async () => {
    await crowd.expect(asking, [], { rooms: ["nobody is here"] });
  });

  // proves: T-87, T-107
  test("reaches members of several rooms once", async () => {
    await crowd.join([asking, crowd.at(far), crowd.at(farther)], "red");
    await crowd.join([crowd.at(far), crowd.at(farther, 1)], "blue");
    const members = [asking, crowd.at(far), crowd.at(farther), crowd.at(farther, 1)];
    await crowd.expect(asking, members, { rooms: ["red", "blue", crowd.at(far).id, "nobody is here"] });
  });

  test("leaves out a room", async () => {
    await crowd.join([crowd.at(origin, 1), crowd.at(far), crowd.at(farther)], "muted");
    const rest = [asking, crowd.at(far, 1), crowd.at(farther, 1)];
    await crowd.expect(asking, rest, { except: ["muted"] });
  });

  test("leaves out a room and a socket on another node", async () => {
    await crowd.join(crowd.all, "red");
    await crowd.join([crowd.at(far)], "muted");
    const rest = crowd.without(crowd.at(far), crowd.at(farther, 1));
    await crowd.expect(asking, rest, { rooms: ["red"], except: ["muted", crowd.at(farther, 1).id] });
  });

  test("leaves out the socket that sends", async () => {
    const rest = crowd.without(asking);
    await crowd.expect(asking, rest, { self: true });
    await crowd.join(crowd.all, "red");
    await crowd.expect(asking, rest, { self: true, rooms: ["red"] });
  });

  test("stays on the node when it is local", async () => {
    const local = [asking, crowd.at(origin, 1)];
    await crowd.expect(asking, local, { local: true });
    await crowd.join(crowd.all, "red");
    await crowd.expect(asking, local, { local: true, rooms: ["red"] });
    await crowd.expect(asking, [crowd.at(origin, 1)], { local: true, self: true });
  });

  test("reaches idle clients when it is volatile", async () => {
    await crowd.expect(asking, crowd.all, { volatile: true });
  });

  test("reaches nobody who has left the room", async () => {
    await crowd.join([crowd.at(far), crowd.at(farther)], "red");
    await crowd.at(far).request("leave", "red");
    await crowd.expect(asking, [crowd.at(farther)], { rooms: ["red"] });
  });

  test("keeps the order of what one node emits", async () => {
    await crowd.join(crowd.all, "red", "blue");
    const targets = [{}, { rooms: ["red"] }, { rooms: ["red", "blue"] }, { rooms: ["blue"], except: ["nobody"] }];
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    const emit = (i) => asking.op("emit", { ...targets[i % targets.length], event: "n", args: [i % 5 ? i : [i, bytes(3)]] });
    await Promise.all(numbers.map(emit));
    await crowd.mark(asking);
    for (const client of crowd.all) {
      assert.deepEqual(client.received("n").map(([n]) => (Array.isArray(n) ? n[0] : n)), numbers, crowd.describe(client));
    }
  });

  // proves: T-104, T-107
  test("collects acknowledgements from everybody", async () => {
    crowd.all.forEach(({ socket }, i) => socket.on("ask", (a, ack) => ack({ i, a })));
    const replies = await asking.op("emitWithAck", { event: "ask", args: ["x"], timeoutMs: 10_000 });
    assert.deepEqual(replies.sort((x, y) => x.i - y.i), crowd.all.map((_, i) => ({ i, a: "x" })));
  });

  test("collects binary acknowledgements from a room", async () => {
    const room = [asking, crowd.at(far), crowd.at(farther, 1)];
    await crowd.join(room, "red");
    room.forEach(({ socket }, i) => socket.on("ask", (data, ack) => ack(Buffer.concat([data, bytes(i + 1)]), "ignored")));
    const replies = await asking.op("emitWithAck", { rooms: ["red"], event: "ask", args: [bytes(4)], timeoutMs: 10_000 });
    const wanted = room.map((_, i) => Buffer.concat([bytes(4), bytes(i + 1)]));
    assert.deepEqual(replies.sort(Buffer.compare), wanted.sort(Buffer.compare));
  });

  test("collects acknowledgements from another node only", async () => {
    const target = crowd.at(far);
    target.socket.on("ask", (ack) => ack("one"));
    const replies = await asking.op("emitWithAck", { rooms: [target.id], event: "ask", timeoutMs: 10_000 });
    assert.deepEqual(replies, ["one"]);
  });

  test("collects no acknowledgements from nobody", async () => {
    const replies = await asking.op("emitWithAck", { rooms: ["nobody is here"], event: "ask", timeoutMs: 10_000 });
    assert.deepEqual(replies, []);
  });

  // proves: T-59
  test("hands over the acknowledgements that came in time", async () => {
    const silent = [crowd.at(far, 1), crowd.at(origin, 1)];
    crowd.all.forEach((client, i) => client.socket.on("ask", (ack) => silent.includes(client) || ack(i)));
    const answer = await asking.attempt("emitWithAck", { event: "ask", timeoutMs: 500 });
    assert.equal(answer.ok, false);
    assert.equal(typeof answer.error, "string");
    const wanted = crowd.all.flatMap((client, i) => (silent.includes(client) ? [] : [i]));
    assert.deepEqual(answer.partial.sort(), wanted);
  });

  test(
    "collects acknowledgements of one node when it is local",
    askedOfDunlin("the reference waits for every node and times out"),
    async () => {
      crowd.all.forEach(({ socket }, i) => socket.on("ask", (ack) => ack(i)));
      const replies = await asking.op("emitWithAck", { local: true, event: "ask", timeoutMs: 10_000 });
      assert.deepEqual(replies.sort(), [origin * 2, origin * 2 + 1]);
    },
  );
}
