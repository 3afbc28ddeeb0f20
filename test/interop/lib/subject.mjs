// What is under test: "dunlin" is the program test/conformance, "node" the
// Node.js reference behind the same contract.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The kind of server the tests are about. */
export const subject = process.env.SUBJECT ?? "dunlin";
if (!["dunlin", "node"].includes(subject)) throw new Error(`SUBJECT is ${subject}, want dunlin or node`);

const member = fileURLToPath(new URL("../node-member.mjs", import.meta.url));

/** The command line that starts a server of the given kind. */
export function command(kind) {
  return kind === "node" ? [process.execPath, [member]] : [conformance(), []];
}

/** The path of the conformance server: DUNLIN_CONFORMANCE, or built once. */
export function conformance() {
  return process.env.DUNLIN_CONFORMANCE || build("test/conformance");
}

/** The path of the program dunlin: DUNLIN, or built once. */
export function dunlin() {
  return process.env.DUNLIN || build("cmd/node");
}

const built = {};

function build(source) {
  if (built[source]) return built[source];
  const dir = mkdtempSync(join(tmpdir(), "dunlin-interop-"));
  process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, "program");
  execFileSync("go", ["build", "-o", path, `./${source}`], {
    cwd: fileURLToPath(new URL("../../..", import.meta.url)),
    stdio: "inherit",
  });
  return (built[source] = path);
}
