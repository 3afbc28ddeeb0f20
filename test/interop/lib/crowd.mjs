import assert from "node:assert/strict";
import { Client } from "./client.mjs";
import { until } from "./wait.mjs";

let marks = 0;

/** Crowd is a few clients in one namespace on every node of a cluster, for one test. */
export class Crowd {
  #cluster;
  #perNode;

  constructor(cluster, perNode, nsp) {
    this.#cluster = cluster;
    this.#perNode = perNode;
    this.nsp = nsp;
  }

  /** Connects perNode clients to every node; the other options go to the clients. */
  static async gather(cluster, { perNode = 2, nsp = "/", ...options } = {}) {
    const crowd = new Crowd(cluster, perNode, nsp);
    const dials = cluster.nodes.flatMap((node) =>
      Array.from({ length: perNode }, async () => Object.assign(await Client.connect(node, { ...cluster.client, nsp, ...options }), { node })),
    );
    crowd.all = await Promise.all(dials);
    return crowd;
  }

  /** The i-th client of the n-th node. */
  at(n, i = 0) {
    return this.all[n * this.#perNode + i];
  }

  /** The clients that are not in the list. */
  without(...clients) {
    return this.all.filter((client) => !clients.includes(client));
  }

  /** Puts clients into rooms; afterwards nothing sent to the rooms can miss them. */
  async join(clients, ...rooms) {
    await Promise.all(clients.flatMap((client) => rooms.map((room) => client.request("join", room))));
  }

  /**
   * Has from's node emit an event as the request selects, and asserts that
   * exactly the wanted clients receive it, once, with the same arguments.
   *
   * That nobody else does is shown by order: the same node emits a marker to
   * everybody afterwards, which overtakes nothing.
   */
  async expect(from, wanted, request, args = ["payload"]) {
    const event = `event-${++marks}`;
    await from.op("emit", { nsp: this.nsp, ...request, event, args });
    await Promise.all(wanted.map((client) => client.receive(event)));
    await this.mark(from);
    for (const client of this.all) {
      const want = wanted.includes(client) ? [args] : [];
      assert.deepEqual(client.received(event), want, `${this.describe(client)}, asked of ${this.describe(from)}`);
    }
    return event;
  }

  /** Resolves when a marker emitted by from's node has reached everybody, or those given. */
  async mark(from, clients = this.all) {
    const marker = `marker-${++marks}`;
    await from.op("emit", { nsp: this.nsp, event: marker });
    await Promise.all(clients.map((client) => client.receive(marker)));
  }

  describe(client) {
    return `client ${this.all.indexOf(client)} on ${client.node.name}`;
  }

  /** Sends the clients away and resolves when no node knows any of them. */
  async disperse() {
    const ids = new Set(this.all.map(({ id }) => id));
    for (const client of this.all) client.close();
    for (const watcher of this.#cluster.watchers) {
      await until(async () => {
        const { ok, result } = await watcher.attempt("fetchSockets", { nsp: this.nsp, local: true });
        // A dynamic namespace may be gone with its last socket.
        return ok ? !result.some(({ id }) => ids.has(id)) : this.nsp !== "/";
      }, "the crowd to be gone");
    }
  }
}
