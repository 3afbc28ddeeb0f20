// A client of another language: Debian's python3-socketio.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { transports } from "./lib/client.mjs";
import { Program } from "./lib/process.mjs";
import { Server } from "./lib/server.mjs";
import { missing } from "./lib/tool.mjs";

const python = "/usr/bin/python3";
const present = spawnSync(python, ["-c", "import socketio, requests, websocket"]).status === 0;
const skip = missing(
  present,
  "the Python tests need apt-get install python3-socketio python3-requests python3-websocket",
);
const script = fileURLToPath(new URL("python_client.py", import.meta.url));

describe("python-socketio", { skip }, () => {
  let server;
  // When it leaves, the Python client sometimes forgets the close packet and
  // keeps polling: the next ping ends that poll, and the client.
  before(async () => (server = await Server.start({ env: { PING_INTERVAL: "1000" } })));
  after(() => server.stop());

  for (const [name, list] of Object.entries(transports)) {
    test(`visits over ${name}`, async () => {
      const visit = new Program(python, [script, server.url, list.join(",")]);
      assert.deepEqual(await visit.exited(), { code: 0, signal: null }, visit.stderr);
      assert.equal(visit.stderr, "");
    });
  }
});
