// Operations that ask other nodes to do something, or to answer.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Crowd } from "../lib/crowd.mjs";
import { until } from "../lib/wait.mjs";

/** Defines the cases. */
export function requests({ cluster, origin, perRoom, askedOfDunlin, noRoomList }) {
  let crowd, asking, far, farther;
  beforeEach(async () => {
    crowd = await Crowd.gather(cluster());
    asking = crowd.at(origin);
    [far, farther] = [0, 1, 2].filter((n) => n !== origin);
  });
  afterEach(() => crowd.disperse());

  const ids = (clients) => clients.map(({ id }) => id).sort();
  const fetchIds = async (request) => ids(await asking.op("fetchSockets", request));
  const rooms = async (client) => (await client.request("whoami"))[0].rooms.filter((room) => room !== client.id).sort();

  // Who is in a room already joins it once more only to wait: a node that
  // asks for rooms one by one hears one some time after its first member is there.
  const subscribed = (clients, room) => crowd.join(clients, room);

  test("fetches every socket", async () => {
    assert.deepEqual(await fetchIds({}), ids(crowd.all));
  });

  test("fetches the sockets of rooms, once each", async () => {
    await crowd.join([asking, crowd.at(far)], "red");
    await crowd.join([crowd.at(far), crowd.at(farther)], "blue");
    assert.deepEqual(await fetchIds({ rooms: ["red", "blue"] }), ids([asking, crowd.at(far), crowd.at(farther)]));
    assert.deepEqual(await fetchIds({ rooms: ["red", "blue"], except: ["red"] }), ids([crowd.at(farther)]));
    assert.deepEqual(await fetchIds({ rooms: ["nobody is here"] }), []);
  });

  test("fetches the sockets of its own node when it is local", async () => {
    assert.deepEqual(await fetchIds({ local: true }), ids([asking, crowd.at(origin, 1)]));
  });

  // proves: T-95, T-107
  test("fetches what is known of a socket on another node", async () => {
    const options = { auth: { token: "péché" }, query: { lang: "fr" } };
    const visitors = await Crowd.gather(cluster(), { perNode: 1, ...options });
    const visitor = visitors.at(far);
    const { id } = visitor;
    await visitors.join([visitor], "red", "a b", "7");
    await visitor.request("set-data", { name: "alice", list: [1, null, { two: "2" }] });
    const [socket, ...rest] = await asking.op("fetchSockets", { rooms: [id] });
    await visitors.disperse();

    assert.deepEqual(rest, []);
    assert.equal(socket.id, id);
    assert.deepEqual(socket.rooms, ["red", "a b", "7", id].sort());
    assert.deepEqual(socket.data, { name: "alice", list: [1, null, { two: "2" }] });
    assert.deepEqual(socket.handshake.auth, options.auth);
    assert.equal(socket.handshake.query.lang, "fr");
    assert.equal(socket.handshake.query.transport, "websocket");
  });

  // proves: T-102, T-107
  test("lists the rooms of the whole cluster", { skip: noRoomList }, async () => {
    await crowd.join([asking], "here");
    await crowd.join([crowd.at(far)], "there", "odd \u0000 🐟 #");
    await crowd.join([crowd.at(farther)], "there");
    const wanted = [...ids(crowd.all), "here", "there", "odd \u0000 🐟 #"];
    assert.deepEqual(await asking.op("allRooms"), wanted.sort());
  });

  // proves: T-97, T-107
  test("makes sockets of every node join and leave rooms", async () => {
    await asking.op("socketsJoin", { targets: ["red", "blue"] });
    for (const client of crowd.all) {
      await until(async () => (await rooms(client)).length === 2, "two rooms joined");
      assert.deepEqual(await rooms(client), ["blue", "red"]);
    }
    await subscribed(crowd.all, "red");
    await crowd.expect(asking, crowd.all, { rooms: ["red"] });

    const leaving = [asking, crowd.at(far), crowd.at(farther, 1)];
    await crowd.join(leaving, "leaving");
    await asking.op("socketsLeave", { rooms: ["leaving"], targets: ["red", "leaving"] });
    for (const client of leaving) {
      await until(async () => (await rooms(client)).length === 1, "two rooms left");
      assert.deepEqual(await rooms(client), ["blue"]);
    }
    await crowd.expect(asking, crowd.without(...leaving), { rooms: ["red"] });
  });

  test("makes one socket on another node join and leave a room", async () => {
    const target = crowd.at(far);
    await asking.op("socketsJoin", { rooms: [target.id], targets: ["red"] });
    await until(async () => (await rooms(target)).includes("red"), "the room to be joined");
    await subscribed([target], "red");
    await crowd.expect(asking, [target], { rooms: ["red"] });
    await asking.op("socketsLeave", { rooms: [target.id], targets: ["red"] });
    await until(async () => (await rooms(target)).length === 0, "the room to be left");
    await crowd.expect(asking, [], { rooms: ["red"] });
  });

  test("leaves out a room when sockets join", async () => {
    await crowd.join([crowd.at(far)], "muted");
    await asking.op("socketsJoin", { except: ["muted"], targets: ["red"] });
    const rest = crowd.without(crowd.at(far));
    for (const client of rest) await until(async () => (await rooms(client)).includes("red"), "the room to be joined");
    await crowd.mark(asking);
    assert.deepEqual(await rooms(crowd.at(far)), ["muted"]);
  });

  test("makes only its own sockets join when it is local", async () => {
    await asking.op("socketsJoin", { local: true, targets: ["red"] });
    await crowd.mark(asking);
    for (const client of crowd.all) {
      assert.deepEqual(await rooms(client), client.node === asking.node ? ["red"] : [], crowd.describe(client));
    }
  });

  // proves: J-70
  test(
    "delivers to a room what was emitted right after the join",
    perRoom
      ? { skip: "rooms have channels of their own, which other nodes subscribe to only then" }
      : askedOfDunlin("the reference joins its own sockets only when its message comes back from Redis"),
    async () => {
      const joined = asking.op("socketsJoin", { targets: ["red"] });
      await crowd.expect(asking, crowd.all, { rooms: ["red"] });
      await joined;
    },
  );

  for (const close of [false, true]) {
    // proves: T-98, T-107
    test(`sends sockets of every node away ${close ? "and closes" : "but keeps"} their connections`, async () => {
      const leaving = [crowd.at(origin, 1), crowd.at(far), crowd.at(farther)];
      const staying = crowd.without(...leaving);
      const beside = await Promise.all(leaving.map((client) => client.enter("/dyn-7")));
      await crowd.join(leaving, "red");
      const reasons = leaving.map((client) => client.disconnected());
      const besides = close ? beside.map((client) => client.disconnected()) : [];
      await asking.op("disconnectSockets", { rooms: ["red"], close });

      const reason = "io server disconnect";
      assert.deepEqual(await Promise.all(reasons), leaving.map(() => reason));
      assert.deepEqual(await Promise.all(besides), close ? beside.map(() => reason) : []);
      if (!close) for (const client of beside) assert.deepEqual(await client.request("echo", 1), [1]);
      assert.deepEqual(await fetchIds({}), ids(staying));
    });
  }

  test("sends only its own sockets away when it is local", async () => {
    const leaving = crowd.at(origin, 1);
    await crowd.join(crowd.without(asking), "red");
    const reason = leaving.disconnected();
    await asking.op("disconnectSockets", { rooms: ["red"], local: true });
    assert.equal(await reason, "io server disconnect");
    await crowd.mark(asking, crowd.without(leaving));
    assert.deepEqual(await fetchIds({}), ids(crowd.without(leaving)));
  });

  // proves: T-101, T-107
  test("emits to the other nodes' processes", async () => {
    await crowd.join(crowd.all, "notes");
    await asking.op("serverSideEmit", { event: "note", args: ["hello", { n: [1, null] }] });
    for (const client of crowd.all) {
      if (client.node !== asking.node) await client.receive("note");
    }
    // Requests may travel apart from broadcasts, so the mark alone shows little.
    await asking.op("serverSideEmitWithAck", { event: "ping", args: ["x"], timeoutMs: 10_000 });
    await crowd.mark(asking);
    for (const client of crowd.all) {
      const want = client.node === asking.node ? [] : [[client.node.name, "hello", { n: [1, null] }]];
      assert.deepEqual(client.received("note"), want, crowd.describe(client));
    }
  });

  // proves: T-101, T-107
  test("collects the answers of the other nodes' processes", async () => {
    const replies = await asking.op("serverSideEmitWithAck", { event: "ping", args: ["x"], timeoutMs: 10_000 });
    assert.deepEqual(replies.sort(), [far, farther].map((n) => `${cluster().nodes[n].name}:x`).sort());
  });

  test("reaches the other nodes' processes in one namespace only", async () => {
    const others = await Crowd.gather(cluster(), { perNode: 1, nsp: "/dyn-7" });
    await others.join(others.all, "notes");
    await crowd.join(crowd.all, "notes");
    await asking.op("serverSideEmit", { nsp: "/dyn-7", event: "note", args: [1] });
    for (const n of [far, farther]) assert.deepEqual(await others.at(n).receive("note"), [[cluster().nodes[n].name, 1]]);
    await asking.op("serverSideEmitWithAck", { event: "ping", args: ["x"], timeoutMs: 10_000 });
    await crowd.mark(asking);
    for (const client of crowd.all) assert.deepEqual(client.received("note"), [], crowd.describe(client));
    await others.disperse();
  });

  // proves: J-61
  test("is told at once by Dunlin nodes, and by no other, that nobody handles an event", async () => {
    const others = [far, farther].map((n) => cluster().nodes[n].kind);
    const answers = others.filter((kind) => kind === "dunlin").map(() => null);
    const answer = await asking.attempt("serverSideEmitWithAck", { event: "nobody handles this" });
    if (answers.length === others.length) assert.deepEqual(answer, { ok: true, result: answers });
    else {
      assert.equal(answer.ok, false);
      assert.equal(typeof answer.error, "string");
      assert.deepEqual(answer.partial, answers);
    }
  });

  // proves: T-96, J-58
  test(
    "fetches what the reachable nodes know when one does not answer",
    askedOfDunlin("the reference throws away what it received"),
    async () => {
      const stuck = cluster().nodes[farther];
      await stuck.freeze();
      const answer = await asking.attempt("fetchSockets", { timeoutMs: 1000 });
      stuck.thaw();
      assert.equal(answer.ok, false);
      assert.equal(typeof answer.error, "string");
      assert.deepEqual(ids(answer.partial), ids(crowd.all.filter(({ node }) => node !== stuck)));
      // The late answer changes nothing.
      await crowd.at(farther).request("echo");
      assert.deepEqual(await fetchIds({}), ids(crowd.all));
    },
  );
}
