// Processes that emit to a cluster without being a member of it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";
import { Emitter } from "@socket.io/redis-emitter";
import { Redis } from "ioredis";
import { bytes } from "../lib/bytes.mjs";
import { Crowd } from "../lib/crowd.mjs";
import { StreamsEmitter } from "../lib/streams-emitter.mjs";
import { dunlin, subject } from "../lib/subject.mjs";
import { until } from "../lib/wait.mjs";

/** Defines the cases. */
export function emitters({ cluster, mode }) {
  let redis;
  before(() => (redis = new Redis(cluster().redis)));
  after(() => redis.disconnect());

  const foreign = {
    classic: { name: "@socket.io/redis-emitter", create: () => new Emitter(redis) },
    streams: { name: "one that writes as the reference's streams emitter does", create: () => new StreamsEmitter(redis) },
  }[mode];
  if (foreign) describe(foreign.name, () => define({ cluster, mode, create: foreign.create, values: true }));

  if (subject !== "dunlin") return;
  describe("dunlin emit", () => define({ cluster, mode, create: () => new DunlinEmitter(cluster().redis, mode) }));
}

function define({ cluster, mode, create, values }) {
  let crowd, emitter;
  beforeEach(async () => {
    crowd = await Crowd.gather(cluster());
    emitter = create();
  });
  afterEach(() => crowd.disperse());

  /** Asserts that exactly the wanted clients receive what emit sends, once. */
  async function expect(wanted, operator, args = ["payload"], got = args) {
    await operator.emit("hello", ...args);
    await Promise.all(wanted.map((client) => client.receive("hello")));
    await emitter.emit("marker");
    await Promise.all(crowd.all.map((client) => client.receive("marker")));
    for (const client of crowd.all) {
      assert.deepEqual(client.received("hello"), wanted.includes(client) ? [got] : [], crowd.describe(client));
      client.forget();
    }
  }
  const rooms = async (client) => (await client.request("whoami"))[0].rooms.filter((room) => room !== client.id).sort();

  // proves: T-108
  test("emits to everybody, to rooms and past rooms", async () => {
    await crowd.join([crowd.at(0), crowd.at(1), crowd.at(2)], "red");
    await crowd.join([crowd.at(0), crowd.at(1, 1)], "blue #1");
    await expect(crowd.all, emitter);
    await expect([crowd.at(0), crowd.at(1), crowd.at(2)], emitter.to("red"));
    await expect([crowd.at(0), crowd.at(1), crowd.at(2), crowd.at(1, 1)], emitter.to("red").to("blue #1"));
    await expect([crowd.at(1), crowd.at(2)], emitter.to("red").except("blue #1"));
    await expect([crowd.at(2, 1)], emitter.to(crowd.at(2, 1).id));
    await expect(crowd.without(crowd.at(0)), emitter.except(crowd.at(0).id));
    await expect(crowd.all, emitter.volatile);
    await expect([], emitter.to("nobody is here"));
  });

  // proves: T-108
  test("emits values of every kind", async () => {
    const args = ["péché 🐟 \u0000", 0.1, -(2 ** 40), 2 ** 53 - 1, true, null, { a: [{ "": [] }] }, []];
    await expect(crowd.all, emitter, args);
    await expect(crowd.all, emitter, []);
    if (!values) return;
    await expect(crowd.all, emitter.to(crowd.all.map(({ id }) => id)), [bytes(0), { deep: [bytes(300), "text", bytes(70_000)] }]);
    const dates = [new Date(0), new Date("2026-01-02T03:04:05.678Z"), new Date("1900-01-01T00:00:00Z")];
    await expect(crowd.all, emitter, dates, dates.map((date) => date.toISOString()));
    // Dates are encoded otherwise beside binary.
    await expect(crowd.all, emitter, [...dates, bytes(1)], [...dates.map((date) => date.toISOString()), bytes(1)]);
  });

  // proves: T-108
  test("emits to another namespace", async () => {
    const others = await Crowd.gather(cluster(), { perNode: 1, nsp: "/dyn-7" });
    await others.join(others.all, "red");
    await crowd.join(crowd.all, "red");
    await emitter.of("/dyn-7").to("red").emit("hello", 1);
    for (const client of others.all) assert.deepEqual(await client.receive("hello"), [[1]]);
    await expect(crowd.all, emitter);
    await others.disperse();
  });

  // proves: T-108
  test("makes sockets join, leave and go", async () => {
    const targets = [crowd.at(0), crowd.at(1), crowd.at(2, 1)];
    await crowd.join(targets, "red");
    await emitter.in("red").except(crowd.at(0).id).socketsJoin(["green", "blue"]);
    for (const client of targets.slice(1)) {
      await until(async () => (await rooms(client)).length === 3, "two rooms to be joined");
      assert.deepEqual(await rooms(client), ["blue", "green", "red"]);
    }
    assert.deepEqual(await rooms(crowd.at(0)), ["red"]);
    await emitter.in("green").socketsLeave("green");
    for (const client of targets) {
      const want = client === crowd.at(0) ? ["red"] : ["blue", "red"];
      await until(async () => (await rooms(client)).length === want.length, "the room to be left");
      assert.deepEqual(await rooms(client), want);
    }
    const reasons = targets.slice(1).map((client) => client.disconnected());
    await emitter.in("blue").disconnectSockets();
    assert.deepEqual(await Promise.all(reasons), ["io server disconnect", "io server disconnect"]);
    await crowd.mark(crowd.at(0), crowd.without(...targets.slice(1)));
  });

  // proves: T-108
  test("tells the servers", async () => {
    await crowd.join(crowd.all, "notes");
    await emitter.serverSideEmit("note", "hi", { n: [1, null] });
    for (const client of crowd.all) {
      assert.deepEqual(await client.receive("note"), [[client.node.name, "hi", { n: [1, null] }]]);
    }
  });
}

const run = promisify(execFile);

/** DunlinEmitter is the command "dunlin emit" behind the reference's API. */
class DunlinEmitter {
  constructor(url, mode, flags = []) {
    Object.assign(this, { url, mode, flags });
  }

  #with(...flags) {
    return new DunlinEmitter(this.url, this.mode, [...this.flags, ...flags]);
  }

  of = (nsp) => this.#with(`--namespace=${nsp}`);
  to = (room) => this.#with(`--room=${room}`);
  in = this.to;
  except = (room) => this.#with(`--except=${room}`);
  get volatile() {
    return this.#with("--volatile");
  }

  emit = (event, ...args) => this.#run("--", event, ...args.map((arg) => JSON.stringify(arg)));
  serverSideEmit = (...args) => this.#with("--servers").emit(...args);
  socketsJoin = (rooms) => this.#run(...[rooms].flat().map((room) => `--join=${room}`));
  socketsLeave = (rooms) => this.#run(...[rooms].flat().map((room) => `--leave=${room}`));
  disconnectSockets = () => this.#run("--disconnect");

  async #run(...args) {
    const options = ["--redis", this.url, "--adapter", this.mode, ...this.flags];
    const { stdout, stderr } = await run(dunlin(), ["emit", ...options, ...args], { env: {} });
    assert.deepEqual({ stdout, stderr }, { stdout: "", stderr: "" });
  }
}
