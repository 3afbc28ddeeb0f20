// Three nodes on one Redis in sharded mode, of one kind and mixed.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Redis } from "ioredis";
import { Client } from "./lib/client.mjs";
import { Cluster } from "./lib/cluster.mjs";
import { everyMix, mixes, modes } from "./lib/mixes.mjs";
import { noRedis } from "./lib/redis.mjs";
import { until } from "./lib/wait.mjs";

everyMix("sharded");

const kinds = mixes.at(-1);
const skip = noRedis || (!modes.includes("sharded") && "sharded is none of MODES");

describe(`on Redis, the channels of ${kinds.join(" + ")}`, { skip }, () => {
  let cluster, redis;
  before(async () => {
    cluster = await Cluster.start(kinds, { mode: "sharded" });
    redis = new Redis(cluster.redis);
  });
  after(async () => {
    redis?.disconnect();
    await cluster?.stop();
  });

  const channels = async () => (await redis.pubsub("SHARDCHANNELS", "socket.io#/#*")).sort();
  const listeners = async (room) => (await redis.pubsub("SHARDNUMSUB", `socket.io#/#${room}#`))[1];

  // proves: T-89, T-90
  test("are those of rooms with members, for as long as they have some", async () => {
    const clients = await Promise.all(cluster.nodes.map((node) => Client.connect(node)));
    // Those of the namespace itself, and of the answers to each node.
    const always = await channels();
    assert.equal(always.length, 1 + kinds.length);
    let rooms = 0;
    for (const room of ["red", "odd \u0000 🐟 #*?"]) {
      for (const [i, client] of clients.entries()) {
        await client.request("join", room);
        assert.equal(await listeners(room), i + 1);
      }
      assert.equal((await channels()).length, always.length + ++rooms);
    }
    // One room's members leave it, the other's go. Dunlin listens for a while yet.
    await Promise.all(clients.map((client) => client.request("leave", "red")));
    for (const client of clients) client.close();
    await until(async () => (await channels()).length === always.length, "all channels of rooms to be left");
    assert.deepEqual(await channels(), always);
  });
});
