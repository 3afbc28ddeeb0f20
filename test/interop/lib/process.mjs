import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { within } from "./wait.mjs";

// children that still run when the tests end, whatever the reason, are killed.
const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** Program is a child process whose output is kept. */
export class Program {
  #stdout = [];
  #stderr = "";
  #exited;

  constructor(command, args, options = {}) {
    this.name = [command, ...args].join(" ");
    this.child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    children.add(this.child);
    this.child.stderr.setEncoding("utf8").on("data", (text) => (this.#stderr += text));
    this.lines = createInterface(this.child.stdout).on("line", (line) => this.#stdout.push(line));
    // "close" comes after "exit", when all output has been read.
    this.#exited = new Promise((resolve) => {
      this.child.once("error", (error) => resolve({ error }));
      this.child.once("close", (code, signal) => resolve({ code, signal }));
    }).finally(() => children.delete(this.child));
  }

  /** The lines written to stdout so far. */
  get stdout() {
    return this.#stdout;
  }

  /** Everything written to stderr so far. */
  get stderr() {
    return this.#stderr;
  }

  /** Resolves with the first line of stdout that contains text. */
  async line(text) {
    const seen = new Promise((resolve) => {
      this.lines.on("line", (line) => line.includes(text) && resolve(line));
    });
    const early = this.#exited.then((exit) => {
      throw new Error(`${this.name} ended before it said "${text}": ${JSON.stringify(exit)}\n${this.#stderr}`);
    });
    return within(Promise.race([seen, early]), `${this.name} to say "${text}"`);
  }

  signal(name) {
    this.child.kill(name);
  }

  /** Reports whether every thread is stopped, which takes a moment after SIGSTOP. Linux only. */
  stopped() {
    const tasks = `/proc/${this.child.pid}/task`;
    // The state follows the name, which ends with the last parenthesis.
    return readdirSync(tasks).every((id) => /.*\) T/s.test(readFileSync(`${tasks}/${id}/stat`, "utf8")));
  }

  /** Resolves with {code, signal} once the process has ended. */
  exited() {
    return within(this.#exited, `${this.name} to end`);
  }
}
