// A Socket.IO client in one small file, over WebSocket only: connect,
// reconnect, events, acknowledgements. It has the part of the official client's
// interface that page.js uses, so that either can serve the page.

const BACKOFF_MIN = 250; // ms
const BACKOFF_MAX = 5000;
const ACK_TIMEOUT = 10000;

// Engine.IO packet types, the first character of each frame.
const OPEN = "0";
const CLOSE = "1";
const PING = "2";
const PONG = "3";
const MESSAGE = "4";

// Socket.IO packet types, the first character of each message.
const CONNECT = "0";
const DISCONNECT = "1";
const EVENT = "2";
const ACK = "3";
const CONNECT_ERROR = "4";

/** Connects to a namespace of the server that the page came from. */
export function connect(namespace, { path = "/socket.io/" } = {}) {
  return new Client(namespace, path);
}

class Client {
  #url;
  #namespace;
  #socket; // the WebSocket, while there is one
  #listeners = new Map(); // event → functions
  #acks = new Map(); // id → {resolve, reject, timer}
  #nextAck = 0;
  #attempts = 0;
  #heartbeat; // timer that ends a silent connection
  #patience = 0; // ms of silence that are normal
  #closed = false;

  /** The socket's id, while connected. */
  id;

  constructor(namespace, path) {
    this.#namespace = namespace;
    this.#url = `${location.origin.replace(/^http/, "ws")}${path}?EIO=4&transport=websocket`;
    this.#open();
  }

  get connected() {
    return this.id !== undefined;
  }

  on(event, listener) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }

  emit(event, ...args) {
    this.#send(EVENT, JSON.stringify([event, ...args]));
  }

  /** Emits and resolves with the first argument of the acknowledgement. */
  emitWithAck(event, ...args) {
    return new Promise((resolve, reject) => {
      if (!this.connected) return reject(new Error("not connected"));
      const id = this.#nextAck++;
      const timer = setTimeout(() => this.#settle(id, "reject", new Error("no answer")), ACK_TIMEOUT);
      this.#acks.set(id, { resolve, reject, timer });
      this.#send(EVENT, id + JSON.stringify([event, ...args]));
    });
  }

  #open() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#lost("transport close");
    this.#expect(BACKOFF_MAX * 2);
  }

  /** Gives the server that many ms for its next sign of life. */
  #expect(ms) {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => this.#lost("ping timeout"), ms);
  }

  #receive(frame) {
    const data = frame.slice(1);
    switch (frame[0]) {
      case OPEN: {
        const { pingInterval, pingTimeout } = JSON.parse(data);
        this.#patience = pingInterval + pingTimeout;
        this.#send(CONNECT, "");
        break;
      }
      case PING:
        this.#socket.send(PONG);
        break;
      case MESSAGE:
        this.#dispatch(data);
        break;
      case CLOSE:
        return this.#lost("transport close");
    }
    this.#expect(this.#patience);
  }

  #dispatch(packet) {
    const [, type, namespace = "/", id, json] = /^(\d)(?:(\/[^,]*),)?(\d*)(.*)$/s.exec(packet);
    if (namespace !== this.#namespace) return;
    const payload = json === "" ? undefined : JSON.parse(json);
    switch (type) {
      case CONNECT:
        this.id = payload.sid;
        this.#attempts = 0;
        return this.#notify("connect");
      case CONNECT_ERROR:
        this.#notify("connect_error", new Error(payload.message));
        return this.#lost("refused");
      case DISCONNECT:
        this.#closed = true; // the server wants us to stay away
        return this.#lost("io server disconnect");
      case EVENT: {
        const answer = (...args) => this.#send(ACK, id + JSON.stringify(args));
        return this.#notify(...payload, ...(id === "" ? [] : [answer]));
      }
      case ACK:
        return this.#settle(Number(id), "resolve", payload[0]);
    }
  }

  #send(type, rest) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const namespace = this.#namespace === "/" ? "" : `${this.#namespace},`;
    this.#socket.send(MESSAGE + type + namespace + rest);
  }

  #notify(event, ...args) {
    for (const listener of this.#listeners.get(event) ?? []) listener(...args);
  }

  #settle(id, how, value) {
    const ack = this.#acks.get(id);
    if (!ack) return;
    this.#acks.delete(id);
    clearTimeout(ack.timer);
    ack[how](value);
  }

  #lost(reason) {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.onmessage = socket.onclose = null;
    socket.close();
    clearTimeout(this.#heartbeat);
    for (const id of [...this.#acks.keys()]) this.#settle(id, "reject", new Error(reason));
    if (this.connected) {
      this.id = undefined;
      this.#notify("disconnect", reason);
    }
    if (this.#closed) return;
    // Random, so that the clients of a node that died do not come back as one.
    const delay = Math.min(BACKOFF_MAX, BACKOFF_MIN * 2 ** this.#attempts++) * (0.5 + Math.random());
    setTimeout(() => this.#open(), delay);
  }
}
