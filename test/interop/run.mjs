// Runs every test file against the SUBJECT: "dunlin" (the default) or "node".
// Arguments name the files to run instead of all. What became of each test is
// also written to the file RESULTS, if it is set.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { conformance, dunlin, subject } from "./lib/subject.mjs";

const here = new URL(".", import.meta.url);
const named = process.argv.slice(2);
const files = named.length > 0 ? named : readdirSync(here).filter((name) => name.endsWith(".test.mjs"));

const env = { ...process.env, SUBJECT: subject };
if (subject === "dunlin") Object.assign(env, { DUNLIN_CONFORMANCE: conformance(), DUNLIN: dunlin() });

const flags = [
  "--test",
  `--test-reporter=${process.env.REPORTER ?? "spec"}`,
  // Counts for a whole file, and for each test in it.
  "--test-timeout=240000",
  // Clusters on a given Redis would hear each other.
  `--test-concurrency=${process.env.REDIS_URL ? 1 : 2}`,
];
if (process.env.RESULTS) {
  flags.push("--test-reporter-destination=stdout");
  flags.push("--test-reporter=./lib/results.mjs", `--test-reporter-destination=${process.env.RESULTS}`);
}
const run = spawn(process.execPath, [...flags, ...files], { cwd: here, env, stdio: "inherit" });
run.once("exit", (code) => process.exit(code ?? 1));
