// The contract's "op" event for a Node.js member: one server-side operation,
// selected the way the API selects.

/**
 * Performs one operation and returns its result.
 *
 * @param {import("socket.io").Server} io
 * @param {import("socket.io").Socket} socket the socket that asked
 * @param {object} request as the contract describes it
 */
export async function operate(io, socket, request) {
  const { kind, nsp = "/", event, args = [], targets = [], close = false } = request;
  const run = operations[kind];
  if (!run) throw new Error(`unknown operation ${kind}`);
  const namespace = io.of(nsp);
  return run({ namespace, event, args, targets, close, request, to: select(namespace, socket, request) });
}

function select(namespace, socket, { rooms = [], except = [], self, local, volatile, compress, timeoutMs = 1000, kind }) {
  let to = self ? socket.broadcast : namespace.except([]);
  if (rooms.length > 0) to = to.to(rooms);
  if (except.length > 0) to = to.except(except);
  if (local) to = to.local;
  if (volatile) to = to.volatile;
  if (compress !== undefined) to = to.compress(compress);
  if (kind === "emitWithAck") to = to.timeout(timeoutMs);
  return to;
}

const operations = {
  emit: ({ to, event, args }) => void to.emit(event, ...args),
  emitWithAck: ({ to, event, args }) => to.emitWithAck(event, ...args),
  socketsJoin: ({ to, targets }) => void to.socketsJoin(targets),
  socketsLeave: ({ to, targets }) => void to.socketsLeave(targets),
  disconnectSockets: ({ to, close }) => void to.disconnectSockets(close),
  serverSideEmit: ({ namespace, event, args }) => void namespace.serverSideEmit(event, ...args),
  serverSideEmitWithAck: ({ namespace, event, args }) => namespace.serverSideEmitWithAck(event, ...args),

  fetchSockets: async ({ to }) =>
    (await to.fetchSockets()).map(({ id, rooms, data, handshake: { auth, query } }) => ({
      id,
      rooms: [...rooms].sort(),
      data,
      handshake: { auth, query },
    })),

  allRooms: async ({ namespace: { adapter } }) => {
    if (!adapter.allRooms) throw new Error("the adapter cannot list all rooms");
    return [...(await adapter.allRooms())].sort();
  },
};
