import { encode } from "@msgpack/msgpack";

const types = { emit: 3, join: 4, leave: 5, disconnect: 6, serverSide: 9 };

/**
 * StreamsEmitter writes the entries that the reference's emitter for its
 * streams adapter writes. (That package is not on npm.)
 */
export class StreamsEmitter {
  constructor(redis, nsp = "/", { rooms = [], flags = {}, except = [] } = {}) {
    Object.assign(this, { redis, nsp, opts: { rooms, flags, except } });
  }

  #with(opts) {
    return new StreamsEmitter(this.redis, this.nsp, { ...this.opts, ...opts });
  }

  of = (nsp) => new StreamsEmitter(this.redis, nsp);
  to = (rooms) => this.#with({ rooms: this.opts.rooms.concat(rooms) });
  in = this.to;
  except = (rooms) => this.#with({ except: this.opts.except.concat(rooms) });
  get volatile() {
    return this.#with({ flags: { ...this.opts.flags, volatile: true } });
  }

  emit = (event, ...args) => this.#add(types.emit, { packet: { type: 2, data: [event, ...args], nsp: this.nsp }, opts: this.opts });
  socketsJoin = (rooms) => this.#add(types.join, { opts: this.opts, rooms: [rooms].flat() });
  socketsLeave = (rooms) => this.#add(types.leave, { opts: this.opts, rooms: [rooms].flat() });
  disconnectSockets = (close = false) => this.#add(types.disconnect, { opts: this.opts, close });
  serverSideEmit = (...packet) => this.#add(types.serverSide, { packet });

  #add(type, data) {
    const binary = JSON.stringify(data).includes('{"type":"Buffer","data":');
    const text = binary ? Buffer.from(encode(data)).toString("base64") : JSON.stringify(data);
    const fields = ["uid", "emitter", "nsp", this.nsp, "type", String(type), "data", text];
    return this.redis.xadd("socket.io", "MAXLEN", "~", 10_000, "*", ...fields);
  }
}
