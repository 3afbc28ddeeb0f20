import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./port.mjs";
import { Program } from "./process.mjs";
import { find, missing } from "./tool.mjs";

/** The reason to skip tests that need Redis, or false. */
export const noRedis = missing(
  process.env.REDIS_URL || find("redis-server"),
  "a cluster needs redis-server on the PATH (apt-get install redis-server) or REDIS_URL",
);

/** A Redis for one cluster: a private server, or the one REDIS_URL names. */
export async function startRedis() {
  if (process.env.REDIS_URL) return { url: process.env.REDIS_URL, stop: async () => {} };
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), "dunlin-interop-redis-"));
  const program = new Program("redis-server", [
    ...["--port", String(port), "--bind", "127.0.0.1", "--dir", dir],
    ...["--save", "", "--appendonly", "no"],
  ]);
  await program.line("Ready to accept connections");
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      program.signal("SIGTERM");
      await program.exited();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
