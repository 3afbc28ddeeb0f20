import assert from "node:assert/strict";
import * as sio31 from "sio31";
import * as sio40 from "sio40";
import * as sio48 from "sio48";
import { within } from "./wait.mjs";

/** Releases of socket.io-client that the tests run, by the names of their packages. */
export const releases = { sio48, sio40, sio31 };

/** Ways to connect, as the client's options spell them. */
export const transports = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

/** Client is a socket of the JavaScript client that records what it receives, in order. */
export class Client {
  #log = [];
  #waiting = [];
  #shared = [];

  constructor(socket) {
    this.socket = socket;
    socket.onAny((event, ...args) => {
      this.#log.push([event, ...args]);
      this.#waiting = this.#waiting.filter((retry) => !retry());
    });
  }

  /**
   * Makes a client with a connection of its own, on WebSocket and without
   * reconnection unless the options say otherwise.
   *
   * @param {{url: string}} server
   * @param {{release?: string, nsp?: string}} options the rest goes to the client
   */
  static dial(server, { release = "sio48", nsp = "/", ...options } = {}) {
    const defaults = { forceNew: true, reconnection: false, transports: ["websocket"] };
    return new Client(releases[release].io(server.url + nsp, { ...defaults, ...options }));
  }

  /** Like dial; resolves once the client is in its namespace. */
  static connect(server, options) {
    return Client.dial(server, options).connected();
  }

  /** Makes a client for another namespace on the same connection, which connects by itself. */
  share(nsp, options) {
    const client = new Client(this.socket.io.socket(nsp, options));
    this.#shared.push(client);
    return client;
  }

  /** Like share; resolves once the client is in the namespace. */
  enter(nsp, options) {
    return this.share(nsp, options).connected();
  }

  get id() {
    return this.socket.id;
  }

  /** The name of the transport in use. */
  get transport() {
    return this.socket.io.engine.transport.name;
  }

  /** Connects again after a disconnection or refusal. */
  connect() {
    this.socket.connect();
    return this.connected();
  }

  /** Resolves with the client once it is connected, and rejects if it is refused. */
  async connected() {
    if (this.socket.connected) return this;
    const answer = new Promise((resolve, reject) => {
      this.socket.once("connect", resolve);
      this.socket.once("connect_error", reject);
    });
    await within(answer, "connect");
    return this;
  }

  /** Resolves with the client once it is connected, however many attempts that takes. */
  async reconnected() {
    if (!this.socket.connected) {
      await within(new Promise((resolve) => this.socket.once("connect", resolve)), "reconnect");
    }
    return this;
  }

  /** Resolves with the error of a connection that must be refused. */
  refused() {
    const answer = new Promise((resolve, reject) => {
      this.socket.once("connect", () => reject(new Error("connected, want a refusal")));
      this.socket.once("connect_error", resolve);
    });
    return within(answer, "connect_error");
  }

  /** Resolves once the connection has left polling for WebSocket. */
  async upgraded() {
    if (this.transport === "websocket") return;
    await within(new Promise((resolve) => this.socket.io.engine.once("upgrade", resolve)), "upgrade");
  }

  /** Resolves with the reason of the disconnection. */
  disconnected() {
    return within(new Promise((resolve) => this.socket.once("disconnect", resolve)), "disconnect");
  }

  emit(event, ...args) {
    this.socket.emit(event, ...args);
  }

  /** Emits with an acknowledgement and resolves with its arguments. */
  request(event, ...args) {
    const answer = new Promise((resolve) => this.socket.emit(event, ...args, (...reply) => resolve(reply)));
    return within(answer, `acknowledgement of ${event}`);
  }

  /** Asks for a server-side operation and resolves with the answer, good or bad. */
  async attempt(kind, request = {}) {
    const [answer] = await this.request("op", { kind, ...request });
    return answer;
  }

  /** Asks for a server-side operation that must succeed and resolves with its result. */
  async op(kind, request) {
    const answer = await this.attempt(kind, request);
    assert.equal(answer.ok, true, `${kind}: ${JSON.stringify(answer)}`);
    return answer.result;
  }

  /** The arguments of every event of that name received so far. */
  received(event) {
    return this.#log.filter(([name]) => name === event).map(([, ...args]) => args);
  }

  /** Resolves with the arguments of the first n events of that name, once there are as many. */
  receive(event, n = 1) {
    const enough = () => this.received(event).length >= n;
    const arrival = new Promise((resolve) => {
      if (enough()) resolve();
      else this.#waiting.push(() => enough() && (resolve(), true));
    });
    return within(arrival, `${n} × ${event}`).then(() => this.received(event).slice(0, n));
  }

  /** Forgets what was received. */
  forget() {
    this.#log = [];
  }

  /** Leaves the namespace, and those entered over the same connection: the last one closes it. */
  close() {
    for (const client of this.#shared) client.close();
    this.socket.disconnect();
  }
}
