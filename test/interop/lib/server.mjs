import assert from "node:assert/strict";
import { freePort } from "./port.mjs";
import { Program } from "./process.mjs";
import { command, subject } from "./subject.mjs";
import { until } from "./wait.mjs";

/** Heartbeats that a busy machine cannot miss. */
const calm = { PING_INTERVAL: "25000", PING_TIMEOUT: "20000" };

/** Server is one server under test, driven through the contract. */
export class Server {
  #program;

  /**
   * Starts a server and resolves once it serves.
   *
   * @param {{kind?: "dunlin" | "node", env?: Record<string, string>, expected?: RegExp}} options
   *     expected matches the lines that it may write to its log, which is otherwise empty
   */
  static async start({ kind = subject, env = {}, expected } = {}) {
    const server = new Server(kind, await freePort(), env, expected);
    await server.#start();
    return server;
  }

  constructor(kind, port, env, expected) {
    this.kind = kind;
    this.expected = expected;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.env = { PATH: process.env.PATH, HOME: process.env.HOME, ...calm, ...env, PORT: String(port) };
  }

  get name() {
    return this.env.NODE_NAME;
  }

  async #start() {
    const [program, args] = command(this.kind);
    this.#program = new Program(program, args, { env: this.env });
    await this.#program.line("ready http://");
  }

  signal(name) {
    this.#program.signal(name);
  }

  /** Stops the server's process where it is; resolves when none of its threads runs any more. */
  async freeze() {
    this.signal("SIGSTOP");
    await until(() => this.#program.stopped(), `${this.kind} on port ${this.port} to freeze`);
  }

  thaw() {
    this.signal("SIGCONT");
  }

  /** Stops the server the polite way: it must exit with status 0, having had nothing to complain about. */
  async stop() {
    this.signal("SIGTERM");
    const { code, signal } = await this.#program.exited();
    this.#checkOutput();
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `${this.kind} on port ${this.port} after SIGTERM`);
  }

  /** Ends the server without notice. */
  async kill() {
    this.signal("SIGKILL");
    await this.#program.exited();
    this.#checkOutput();
  }

  #checkOutput() {
    const { stdout, stderr } = this.#program;
    const log = stdout.filter((line) => !line.startsWith("ready http://") && !this.expected?.test(line));
    assert.deepEqual({ log, stderr }, { log: [], stderr: "" }, `output of ${this.kind} on port ${this.port}`);
  }

  /** Starts a stopped or killed server again, on the same port. */
  async restart() {
    await this.#start();
  }
}
