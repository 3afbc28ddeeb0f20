import { after, afterEach, before, describe } from "node:test";
import { Client, releases, transports } from "./client.mjs";
import { Server } from "./server.mjs";

/**
 * Runs the defined tests for every client release over every transport,
 * against one server that is started with the options.
 *
 * @param {(t: {release: string, transport: string, dial: Function, connect: Function, server: () => Server}) => void} define
 */
export function everyClient(define, options) {
  let server;
  before(async () => (server = await Server.start(options)));
  after(() => server.stop());

  for (const release of Object.keys(releases)) {
    for (const transport of Object.keys(transports)) {
      describe(`${release} over ${transport}`, () => {
        const { dial, connect } = dialer(() => server, { release, transports: transports[transport] });
        define({ release, transport, dial, connect, server: () => server });
      });
    }
  }
}

/**
 * Ways to make clients that the end of each test closes. They connect to the
 * server at hand, or to the one that their options name.
 */
export function dialer(current, defaults = {}) {
  const clients = [];
  afterEach(() => clients.splice(0).forEach((client) => client.close()));
  const dial = ({ server = current(), ...options } = {}) => {
    const client = Client.dial(server, { ...defaults, ...options });
    clients.push(client);
    return client;
  };
  return { dial, connect: (options) => dial(options).connected() };
}
