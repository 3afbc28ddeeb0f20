// The demo page of `dunlin dev` in headless Chromium: tabs on different nodes,
// with the page's own client and with the official browser build.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Program } from "./lib/process.mjs";
import { dunlin, subject } from "./lib/subject.mjs";
import { find, missing } from "./lib/tool.mjs";
import { PATIENCE, until } from "./lib/wait.mjs";

const executablePath = find("chromium");
const skip =
  subject === "dunlin"
    ? missing(executablePath, "the demo page needs Chromium on the PATH (apt-get install chromium)")
    : "the demo page is Dunlin's own";

const flags = [
  ...["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];
const clientDir = fileURLToPath(new URL("node_modules/sio48/dist", import.meta.url));

/** Tab is one visitor with the demo page open. */
class Tab {
  complaints = [];

  static async open(browser, url, name) {
    const tab = new Tab();
    tab.page = await browser.newPage();
    tab.page.setDefaultTimeout(PATIENCE);
    tab.page.on("pageerror", (error) => tab.complaints.push(String(error)));
    tab.page.on("console", (message) => tab.complaints.push(message.text()));
    await tab.page.addInitScript((own) => sessionStorage.setItem("name", own), name);
    await tab.page.goto(url);
    await tab.connected();
    return tab;
  }

  async connected() {
    await this.page.waitForSelector("body[data-node]");
    this.node = await this.page.evaluate(() => document.body.dataset.node);
  }

  /** Joins a room, and resolves when nothing sent to it can be missed. */
  async join(room) {
    await this.page.press(`[data-room="${room}"]`, "Enter");
    await this.page.waitForSelector(`[data-room="${room}"][aria-pressed="true"]`);
  }

  /** Says something and resolves with what the page shows about who got it. */
  async say(text, { to = "all", except = "nobody", local = false } = {}) {
    await this.page.selectOption("#to", to);
    await this.page.selectOption("#except", except);
    await this.page.setChecked("#local", local);
    await this.page.fill("#text", text);
    await this.page.press("#text", "Enter"); // tabs in the background hardly draw, and a click waits for that
    const outcome = this.page.locator(".mine", { hasText: text }).locator(".outcome");
    await outcome.getByText("reached").waitFor();
    assert.doesNotMatch(await outcome.innerText(), /did not answer/);
    return (await outcome.locator("span").allInnerTexts()).map((who) => who.replace(/\s+/g, " ")).sort();
  }

  async hears(text) {
    await this.page.locator(".theirs", { hasText: text }).waitFor();
  }

  /** The messages of others, in order. */
  heard() {
    return this.page.locator(".theirs p").allInnerTexts();
  }
}

describe("demo page", { skip }, () => {
  let dir, dev, door, pids, profile, browser, tabs;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "dunlin-interop-demo-"));
    dev = new Program(dunlin(), ["dev", "--addr", "127.0.0.1:0", "--restart", "--client-dir", clientDir]);
    pids = {};
    dev.lines.on("line", (line) => {
      const [, node, pid] = /^node (\S+) .* (\d+)$/.exec(line) ?? [];
      if (node) pids[node] = Number(pid);
    });
    door = (await dev.line("ready http://")).split(" ")[1];
    profile = join(dir, "profile");
    browser = await chromium.launchPersistentContext(profile, { executablePath, headless: true, chromiumSandbox: false, args: flags });
  });
  after(async () => {
    await browser?.close();
    dev?.signal("SIGTERM");
    assert.deepEqual(await dev?.exited(), { code: 0, signal: null }, dev?.stderr);
    await rm(dir, { recursive: true, force: true });
  });

  beforeEach(() => (tabs = []));
  afterEach(async () => {
    for (const tab of tabs) await tab.page.close();
  });

  for (const [client, query] of [["own", ""], ["official", "?client=official"]]) {
    describe(`with its ${client} client`, () => {
      // The door gives new sessions to the nodes in turn.
      const gather = async () => {
        for (const name of ["Ada", "Bo", "Cy"]) tabs.push(await Tab.open(browser, `${door}/${query}`, name));
        const [ada, bo, cy] = tabs;
        assert.equal(new Set([ada.node, bo.node, cy.node]).size, 3, "each tab is on another node");
        assert.equal(await ada.page.evaluate(() => document.body.dataset.client), client);
        return tabs;
      };

      test("shows except, rooms and local at work", async () => {
        const [ada, bo, cy] = await gather();
        const [a, b, c] = [`${ada.node} Ada`, `${bo.node} Bo`, `${cy.node} Cy`];
        await bo.join("red");
        await cy.join("red");
        await cy.join("blue");

        assert.deepEqual(await ada.say("to everyone"), [a, b, c].sort());
        assert.deepEqual(await ada.say("to red", { to: "room:red" }), [b, c].sort());
        assert.deepEqual(await ada.say("to red but blue", { to: "room:red", except: "room:blue" }), [b]);
        assert.deepEqual(await ada.say("to others", { except: "me" }), [b, c].sort());
        assert.deepEqual(await ada.say("this node only", { local: true }), [a]);
        assert.deepEqual(await bo.say("the end"), [a, b, c].sort());

        await cy.hears("the end");
        await ada.hears("the end");
        assert.deepEqual(await cy.heard(), ["to everyone", "to red", "to others", "the end"]);
        assert.deepEqual(await ada.heard(), ["the end"]);
        for (const tab of tabs) assert.deepEqual(tab.complaints, []);
      });

      test("comes back on another node when its own is killed", async () => {
        const [ada, bo, cy] = await gather();
        await bo.join("red");
        const lost = bo.node;
        const victim = pids[lost];
        process.kill(victim, "SIGKILL");
        await bo.page.waitForSelector("body:not([data-node])");
        await bo.connected();
        await bo.page.locator(".note", { hasText: "back, now served by" }).waitFor();
        await ada.say("welcome back", { to: "room:red" });
        await bo.hears("welcome back");
        await bo.say("thanks");
        for (const tab of [ada, cy]) await tab.hears("thanks");
        await until(() => pids[lost] !== victim, `${lost} to be started again`);
      });
    });
  }
});
