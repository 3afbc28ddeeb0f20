import { Client } from "./client.mjs";
import { startRedis } from "./redis.mjs";
import { Server } from "./server.mjs";

/** Cluster is a few nodes on one Redis, of one kind or mixed. */
export class Cluster {
  #redis;

  /**
   * Starts one node per kind, all on one Redis.
   *
   * @param {("dunlin" | "node")[]} kinds
   * @param {{mode?: "classic" | "sharded" | "streams", env?: object | object[], expected?: RegExp, client?: object}} options
   *     env is for all nodes or one for each, expected matches what they may log, client is for the clients that the cluster keeps
   */
  static async start(kinds, { mode = "classic", env = {}, expected, client } = {}) {
    const cluster = new Cluster();
    cluster.mode = mode;
    cluster.client = client;
    cluster.#redis = await startRedis();
    const all = { MAX_PAYLOAD: "4000000", REDIS_URL: cluster.#redis.url, ADAPTER: mode };
    const each = Array.isArray(env) ? env : kinds.map(() => env);
    cluster.nodes = await Promise.all(
      kinds.map((kind, i) => Server.start({ kind, expected, env: { ...all, ...each[i], NODE_NAME: `${kind}-${i}` } })),
    );
    // One client per node that stays, in a namespace of its own.
    cluster.watchers = await Promise.all(cluster.nodes.map((node) => cluster.watch(node)));
    return cluster;
  }

  /** The URL of the Redis that the nodes share. */
  get redis() {
    return this.#redis.url;
  }

  /** Connects a client to a node, in a namespace that no test uses. */
  watch(node) {
    return Client.connect(node, { ...this.client, nsp: "/dyn-0" });
  }

  async stop() {
    for (const watcher of this.watchers) watcher.close();
    const stops = await Promise.allSettled(this.nodes.map((node) => node.stop()));
    await this.#redis.stop();
    const errors = stops.filter(({ reason }) => reason).map(({ reason }) => reason);
    if (errors.length > 0) throw new AggregateError(errors, errors.join("\n"));
  }
}
