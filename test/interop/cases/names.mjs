// Room names that mean something to Redis or to the wire format, and
// namespaces whose channels start alike.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Crowd } from "../lib/crowd.mjs";
import { until } from "../lib/wait.mjs";

const hostile = {
  star: "*",
  "question mark": "?",
  class: "[x]",
  "negated class": "[^a]",
  backslash: "\\",
  "escaped star": "\\*",
  hash: "#",
  "inner hash": "a#b",
  "hash at the end": "b#",
  comma: "a,b",
  newline: "a\nb",
  NUL: "a\u0000b",
  emoji: "🐟👩‍👩‍👧‍👦",
  empty: "",
  space: " ",
  "one digit": "7",
  exponent: "1e3",
  Infinity: "Infinity",
  "5 KB": "long".repeat(1280),
  "another namespace": "/dyn-8#red",
  // As long as a socket id, which is routed otherwise than a room's name.
  "20 letters": "a-room-of-20-letters",
  "20 UTF-16 units": "🐟".repeat(10),
  "20 letters in 40 bytes": "é".repeat(20),
  "20 fish": "🐟".repeat(20),
  __proto__: "__proto__",
  "quoted JSON": '{"a":"b"}',
};

// What a careless match of a hostile name would hit: x for "?" and "[x]",
// 1000 for 1e3, and so on.
const bystanders = ["x", "a", "b", "ab", "1000", "red", "null", "undefined", "lon", "\\\\"];

/** Defines the cases. */
export function names({ cluster, origin, kinds }) {
  let crowd, asking, far, farther;
  beforeEach(async () => {
    crowd = await Crowd.gather(cluster());
    asking = crowd.at(origin);
    [far, farther] = [0, 1, 2].filter((n) => n !== origin);
  });
  afterEach(() => crowd.disperse());

  // proves: J-74
  test("tells hostile room names apart", async () => {
    // One client on each node is in the room at hand, the other in all others.
    const rooms = Object.values(hostile);
    const outsiders = [crowd.at(origin, 1), crowd.at(far, 1), crowd.at(farther, 1)];
    await crowd.join(outsiders, ...rooms, ...bystanders);
    const insiders = [asking, crowd.at(far), crowd.at(farther)];
    for (const room of rooms) {
      await Promise.all(outsiders.map((client) => client.request("leave", room)));
      await crowd.join(insiders, room);
      await crowd.expect(asking, insiders, { rooms: [room] });
      await crowd.expect(asking, insiders, { rooms: [room, "nobody is here"] });
      await crowd.expect(asking, outsiders, { except: [room] });
      await Promise.all(insiders.map((client) => client.request("leave", room)));
      await crowd.join(outsiders, room);
    }
  });

  // proves: J-74
  test("tells hostile room names apart in requests", async () => {
    const rooms = Object.values(hostile);
    const target = crowd.at(far);
    const ids = async (room) => (await asking.op("fetchSockets", { rooms: [room] })).map(({ id }) => id);
    const joined = async () => (await target.request("whoami"))[0].rooms.filter((room) => room !== target.id).sort();
    await crowd.join([asking, crowd.at(farther)], ...bystanders);
    for (const room of rooms) {
      await asking.op("socketsJoin", { rooms: [target.id], targets: [room] });
      await until(async () => (await joined()).length > 0, "the room to be joined");
      assert.deepEqual(await joined(), [room]);
      assert.deepEqual(await ids(room), [target.id]);
      await asking.op("socketsLeave", { rooms: [room], targets: [room] });
      await until(async () => (await joined()).length === 0, "the room to be left");
    }
    await asking.op("socketsJoin", { rooms: [target.id], targets: rooms });
    await until(async () => (await joined()).length === rooms.length, "all rooms to be joined");
    assert.deepEqual(await joined(), [...rooms].sort());
  });

  test("takes a number for the room of that name", { skip: kinds[origin] === "dunlin" && "rooms are text there" }, async () => {
    // To the reference 7 and "7" are two rooms.
    const room = (client) => (client.node.kind === "node" ? 7 : "7");
    const members = [crowd.at(origin, 1), crowd.at(far), crowd.at(farther)];
    await Promise.all(members.map((client) => client.request("join", room(client))));
    await crowd.expect(asking, members, { rooms: [7] });
    await crowd.expect(asking, members, { rooms: [7, "nobody is here"] });
    await crowd.expect(asking, crowd.without(...members), { except: [7] });
    await asking.op("socketsJoin", { rooms: [7], targets: [8] });
    await crowd.mark(asking);
    // Once more, to wait until their nodes hear the room.
    await Promise.all(members.map((client) => client.request("join", client.node.kind === "node" ? 8 : "8")));
    await crowd.expect(asking, members, { rooms: [8] });
    const fetched = await asking.op("fetchSockets", { rooms: [8] });
    assert.deepEqual(fetched.map(({ id }) => id).sort(), members.map(({ id }) => id).sort());
    await asking.op("socketsLeave", { rooms: [8], targets: [7] });
    await crowd.mark(asking);
    await crowd.expect(asking, [], { rooms: [7] });
  });

  test("keeps namespaces apart", async () => {
    const others = ["/dyn-1", "/dyn-11", "/dyn-00000000000000000000000000000000000001"];
    const crowds = [crowd, ...(await Promise.all(others.map((nsp) => Crowd.gather(cluster(), { perNode: 1, nsp }))))];
    for (const each of crowds) await each.join(each.all, "red", "1#red", "#");
    for (const here of crowds) {
      for (const request of [{}, { rooms: ["red"] }, { rooms: ["1#red"] }, { rooms: ["#"] }, { rooms: ["red", "#"] }]) {
        const event = await here.expect(here.at(origin), here.all, request);
        for (const there of crowds.filter((other) => other !== here)) {
          await there.mark(here.at(origin));
          for (const client of there.all) assert.deepEqual(client.received(event), [], `${here.nsp} heard in ${there.nsp}`);
        }
      }
    }
    await Promise.all(crowds.slice(1).map((each) => each.disperse()));
  });

  test("reaches a dynamic namespace in which the node asked has no sockets", async () => {
    const nsp = `/dyn-${process.hrtime.bigint()}`;
    const member = await crowd.at(far).enter(nsp);
    await member.request("join", "red");
    await asking.op("emit", { nsp, event: "all", args: [1] });
    await asking.op("emit", { nsp, rooms: ["red"], event: "room", args: [2] });
    assert.deepEqual(await member.receive("all"), [[1]]);
    assert.deepEqual(await member.receive("room"), [[2]]);
  });
}
