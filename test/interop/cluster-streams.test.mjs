// Three nodes on one Redis in streams mode, of one kind and mixed.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Redis } from "ioredis";
import { bytes } from "./lib/bytes.mjs";
import { Client } from "./lib/client.mjs";
import { Cluster } from "./lib/cluster.mjs";
import { everyMix, mixes, modes } from "./lib/mixes.mjs";
import { noRedis } from "./lib/redis.mjs";

everyMix("streams");

const kinds = mixes.at(-1);
const skip = noRedis || (!modes.includes("streams") && "streams is none of MODES");

describe(`on Redis, the stream of ${kinds.join(" + ")}`, { skip }, () => {
  let cluster, redis;
  before(async () => {
    cluster = await Cluster.start(kinds, { mode: "streams" });
    redis = new Redis(cluster.redis);
  });
  after(async () => {
    redis?.disconnect();
    await cluster?.stop();
  });

  // proves: T-91
  test("has an entry for what is told, and none for what is asked", async () => {
    const clients = await Promise.all(cluster.nodes.map((node) => Client.connect(node)));
    const [[start]] = await redis.xrevrange("socket.io", "+", "-", "COUNT", 1);
    for (const [n, client] of clients.entries()) {
      await client.op("fetchSockets");
      await client.op("serverSideEmitWithAck", { event: "ping", args: [n], timeoutMs: 10_000 });
      client.socket.on("ask", (ack) => ack(n));
      await client.op("emitWithAck", { rooms: [client.id], event: "ask", timeoutMs: 10_000 });
      await client.op("emit", { rooms: ["red"], except: ["blue"], event: "text", args: [n] });
      await client.op("emit", { event: "binary", args: [bytes(n)] });
      await Promise.all(clients.map((each) => each.receive("binary", n + 1)));
      await client.op("socketsJoin", { rooms: ["nobody is here"], targets: ["red"] });
      // The entry of the last is there when one behind it has been read.
      await client.op("emit", { event: "end" });
      await Promise.all(clients.map((each) => each.receive("end", n + 1)));
    }
    const opts = { rooms: [], except: [], flags: {} };
    const want = clients.flatMap((_, n) => [
      ["3", { packet: { type: 2, data: ["text", n] }, opts: { rooms: ["red"], except: ["blue"], flags: {} } }],
      ["3", undefined],
      ["4", { opts: { rooms: ["nobody is here"], except: [], flags: {} }, rooms: ["red"] }],
      ["3", { packet: { type: 2, data: ["end"] }, opts }],
    ]);
    const entries = (await redis.xrange("socket.io", `(${start}`, "+")).map(([, fields]) => {
      assert.deepEqual(fields.filter((_, i) => i % 2 === 0).slice(0, 4), ["uid", "nsp", "type", "data"]);
      const [, , , nsp, , type, , data] = fields;
      assert.equal(nsp, "/");
      // What has binary is MessagePack in base64.
      return [type, data.startsWith("{") ? JSON.parse(data) : undefined];
    });
    assert.deepEqual(entries, want);
    for (const client of clients) client.close();
  });
});
