// How a Node.js member joins its cluster: one of the reference's adapters on
// connections to Redis whose subscriptions can be waited for.

import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { Redis } from "ioredis";
import { until } from "./lib/wait.mjs";

const adapters = {
  classic: ({ pub }, sub) => createAdapter(pub, sub),
  sharded: ({ pub }, sub, subscriptionMode) => createShardedAdapter(pub, sub, subscriptionMode && { subscriptionMode }),
  streams: ({ pub }) => createStreamsAdapter(pub),
};

/** Bus is a member's side of its cluster. */
export class Bus {
  #copies = [];
  #name;

  /**
   * Connects to Redis.
   *
   * @param {string} url
   * @param {"classic" | "sharded" | "streams"} mode
   * @param {"static" | "dynamic" | "dynamic-private"} routing is for the sharded mode
   */
  constructor(url, mode, routing) {
    const create = adapters[mode];
    if (!create) throw new Error(`ADAPTER is ${mode}: it must be classic, sharded or streams`);
    this.#name = `member-${process.pid}`;
    this.pub = this.#watch(new Redis(url, { connectionName: this.#name }));
    this.streams = mode === "streams";
    // The streams adapter copies the connection itself, first to read and then
    // to subscribe.
    const { duplicate } = this.pub;
    this.pub.duplicate = (...options) => {
      const copy = this.#watch(duplicate.apply(this.pub, options));
      this.#copies.push(copy);
      return copy;
    };
    this.adapter = create(this, this.streams ? undefined : this.pub.duplicate(), routing);
  }

  #watch(connection) {
    // The adapters add one listener per namespace.
    connection.setMaxListeners(0);
    connection.on("error", (error) => console.error("redis:", error));
    return connection;
  }

  /**
   * Resolves once Redis has applied every subscription asked for so far:
   * replies on one connection come in order.
   */
  async subscribed() {
    await this.#copies.at(-1).ping();
  }

  /** Resolves once nothing that another member publishes can be missed. */
  async ready() {
    await this.subscribed();
    if (!this.streams) return;
    // Until its first entry the reference reads what is newer than each of its
    // calls, and misses what is written between two of them. So it gets an entry
    // of a namespace that nobody has while it waits in a call.
    await until(async () => / flags=\S*b\S* .* cmd=xread /.test(await this.#connections()), "the reader");
    const data = JSON.stringify({ packet: { type: 2, data: ["ready"] }, opts: { rooms: [], except: [], flags: {} } });
    await this.pub.xadd("socket.io", "*", "uid", this.#name, "nsp", "/ready", "type", "3", "data", data);
  }

  async #connections() {
    const list = await this.pub.client("LIST");
    return list
      .split("\n")
      .filter((line) => line.includes(` name=${this.#name} `))
      .join("\n");
  }

  close() {
    for (const connection of [this.pub, ...this.#copies]) connection.disconnect();
  }
}
