import { connect, createServer } from "node:net";
import { freePort } from "./port.mjs";

/**
 * Proxy is a TCP relay in front of a server whose connections a test can break.
 * New connections go to the loopback port that is its target at the time.
 */
export class Proxy {
  #connections = new Set();
  #server;
  #up = true;

  /** Starts a relay to the given loopback port. */
  static async start(target) {
    const proxy = new Proxy();
    const port = await freePort();
    proxy.url = `http://127.0.0.1:${port}`;
    proxy.target = target;
    proxy.#server = createServer((near) => proxy.#relay(near));
    await new Promise((resolve) => proxy.#server.listen(port, "127.0.0.1", resolve));
    return proxy;
  }

  #relay(near) {
    near.on("error", () => {});
    if (!this.#up) return near.resetAndDestroy();
    this.#connections.add(near);
    const far = connect(this.target, "127.0.0.1");
    far.on("error", () => {});
    near.on("close", () => {
      this.#connections.delete(near);
      far.destroy();
    });
    far.on("close", () => near.destroy());
    near.pipe(far).pipe(near);
  }

  /** Breaks every connection, and each new one, until up is called. */
  down() {
    this.#up = false;
    for (const near of this.#connections) {
      // A socket that is shutting down cannot be reset: its handle would leak.
      if (near.writableEnded) near.destroy();
      else near.resetAndDestroy();
    }
  }

  up() {
    this.#up = true;
  }

  async stop() {
    this.down();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
