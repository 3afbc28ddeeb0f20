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
   */
  static async start(kinds) {
    const cluster = new Cluster();
    cluster.#redis = await startRedis();
    const env = { REDIS_URL: cluster.#redis.url, ADAPTER: process.env.ADAPTER ?? "classic" };
    cluster.nodes = await Promise.all(
      kinds.map((kind, i) => Server.start({ kind, env: { ...env, NODE_NAME: `${kind}-${i}` } })),
    );
    // One client per node that stays, in a namespace of its own.
    cluster.watchers = await Promise.all(cluster.nodes.map((node) => Client.connect(node, { nsp: "/dyn-0" })));
    return cluster;
  }

  async stop() {
    for (const watcher of this.watchers) watcher.close();
    const stops = await Promise.allSettled(this.nodes.map((node) => node.stop()));
    await this.#redis.stop();
    const errors = stops.filter(({ reason }) => reason).map(({ reason }) => reason);
    if (errors.length > 0) throw new AggregateError(errors, errors.join("\n"));
  }
}
