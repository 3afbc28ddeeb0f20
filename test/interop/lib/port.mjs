import { createServer } from "node:net";

/**
 * Resolves with a free loopback port below the range the kernel gives to
 * outgoing connections, so that a server can be stopped and started on it
 * without losing it to a client.
 */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
