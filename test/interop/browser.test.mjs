// The official browser build in headless Chromium, on a page of another origin.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { transports } from "./lib/client.mjs";
import { Server } from "./lib/server.mjs";
import { find, missing } from "./lib/tool.mjs";

const executablePath = find("chromium");
const skip = missing(executablePath, "the browser tests need Chromium on the PATH (apt-get install chromium)");

const flags = [
  ...["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];

/** Serves one page that loads the browser build of the client. */
async function servePage() {
  const script = await readFile(new URL("node_modules/sio48/dist/socket.io.js", import.meta.url));
  const pages = {
    "/": ["text/html", '<!doctype html><link rel="icon" href="data:,"><script src="/client.js"></script>'],
    "/client.js": ["text/javascript", script],
  };
  const site = createServer((request, response) => {
    const [type, body] = pages[request.url] ?? ["text/plain", ""];
    response.writeHead(body ? 200 : 404, { "content-type": `${type}; charset=utf-8` }).end(body);
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  return site;
}

describe("Chromium", { skip }, () => {
  let server, site, profile, browser, page, complaints;

  before(async () => {
    [server, site] = await Promise.all([Server.start(), servePage()]);
    profile = await mkdtemp(join(tmpdir(), "dunlin-interop-chromium-"));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath,
      headless: true,
      chromiumSandbox: false,
      args: flags,
    });
  });
  after(async () => {
    await browser?.close();
    site?.close();
    await rm(profile, { recursive: true, force: true });
    await server?.stop();
  });

  beforeEach(async () => {
    page = await browser.newPage();
    complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => complaints.push(message.text()));
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
  });
  afterEach(async () => {
    await page.close();
    assert.deepEqual(complaints, []);
  });

  for (const [name, list] of Object.entries(transports)) {
    describe(name, () => {
      test("connects, echoes text and binary, and leaves", async () => {
        const report = await page.evaluate(visit, { url: server.url, transports: list });
        assert.deepEqual(report, {
          transport: name === "polling" ? "polling" : "websocket",
          auth: { page: true },
          text: ["péché 🐟", { n: 1 }],
          binary: { kind: "ArrayBuffer", bytes: [0, 1, 2, 253, 254, 255] },
          event: { kind: "ArrayBuffer", bytes: [7, 8], text: "between", rest: [9] },
          order: Array.from({ length: 300 }, (_, i) => i),
          reason: "io client disconnect",
        });
      });
    });
  }

  test("survives a reload", async () => {
    for (let round = 0; round < 3; round++) {
      const report = await page.evaluate(visit, { url: server.url, transports: transports.upgrade });
      assert.equal(report.reason, "io client disconnect");
      await page.reload();
    }
  });

  test("loses its sockets with the page", async () => {
    const id = await page.evaluate(async (url) => {
      const socket = io(url, { transports: ["websocket"] });
      await new Promise((resolve) => socket.on("connect", resolve));
      await socket.timeout(10_000).emitWithAck("join", "tabs");
      return socket.id;
    }, server.url);
    await page.reload();
    const present = await page.evaluate(async (url) => {
      const socket = io(url, { transports: ["websocket"] });
      for (;;) {
        const { result } = await socket.timeout(10_000).emitWithAck("op", { kind: "fetchSockets", rooms: ["tabs"] });
        if (result.length === 0) return result;
      }
    }, server.url);
    assert.deepEqual(present, [], id);
  });
});

/** Runs in the page: one visit, from connection to disconnection. */
async function visit({ url, transports }) {
  const next = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
  const show = (data) => ({ kind: data.constructor.name, bytes: [...new Uint8Array(data)] });
  const socket = io(url, { transports, auth: { page: true }, reconnection: false, forceNew: true });
  const greeting = next(socket, "auth");
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("connect_error", reject));
  const { engine } = socket.io;
  if (transports.length > 1 && engine.transport.name === "polling") await next(engine, "upgrade");

  const calls = socket.timeout(10_000);
  const text = await new Promise((resolve, reject) =>
    calls.emit("echo", "péché 🐟", { n: 1 }, (error, ...args) => (error ? reject(error) : resolve(args))),
  );
  const binary = await calls.emitWithAck("echo", new Uint8Array([0, 1, 2, 253, 254, 255]).buffer);

  socket.emit("message", new Uint8Array([7, 8]), "between", { rest: new Blob([new Uint8Array([9])]) });
  const [first, between, { rest }] = await next(socket, "message-back");

  const order = [];
  const all = new Promise((resolve) => {
    socket.on("message-back", (i) => order.push(i) === 300 && resolve());
  });
  for (let i = 0; i < 300; i++) socket.emit("message", i);
  await all;

  const [auth] = await greeting;
  const left = next(socket, "disconnect");
  const transport = engine.transport.name;
  socket.disconnect();
  const [reason] = await left;
  const event = { ...show(first), text: between, rest: show(rest).bytes };
  return { transport, auth, text, binary: show(binary), event, order, reason };
}
