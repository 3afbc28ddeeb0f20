// The clusters that the cases run on: kinds of nodes in one of three modes.

import { after, before, describe } from "node:test";
import { broadcasts } from "../cases/broadcasts.mjs";
import { emitters } from "../cases/emitters.mjs";
import { names } from "../cases/names.mjs";
import { requests } from "../cases/requests.mjs";
import { values } from "../cases/values.mjs";
import { Cluster } from "./cluster.mjs";
import { noRedis } from "./redis.mjs";
import { subject } from "./subject.mjs";

/** The clusters of a run, by the kinds of their nodes. */
export const mixes = {
  dunlin: [
    ["dunlin", "dunlin", "dunlin"],
    ["dunlin", "node", "dunlin"],
    ["dunlin", "node", "node"],
  ],
  node: [["node", "node", "node"]],
}[subject];

/** Whether everything runs, instead of what finds the most in a few minutes. */
export const everything = process.env.MATRIX === "full";

/** The modes that the subject serves. */
export const modes = subject === "node" ? ["classic", "sharded", "streams"] : (process.env.MODES ?? "classic,sharded,streams").split(",");

const all = [broadcasts, requests, values, names];

/**
 * Defines a cluster of each mix, and on it every case, with each kind of node
 * in the mix as the one that is asked.
 *
 * @param {"classic" | "sharded" | "streams"} mode
 * @param {object} options those of Cluster.start, a title, and which mixes and cases to run, with
 *     processes outside of the cluster or not
 */
export function everyMix(mode, options = {}) {
  const { title = "", kinds: only = mixes, cases = all, outside = true, ...rest } = options;
  if (!modes.includes(mode)) return;
  for (const kinds of only) {
    describe(`${mode}: ${kinds.join(" + ")}${title && `, ${title}`}`, { skip: noRedis }, () => {
      let cluster;
      before(async () => (cluster = await Cluster.start(kinds, { mode, ...rest })));
      after(() => cluster.stop());

      for (const kind of new Set(kinds)) {
        describe(`asked of a ${kind} node`, () => {
          const t = {
            cluster: () => cluster,
            origin: kinds.indexOf(kind),
            mode,
            kinds,
            perRoom: (rest.env?.DUNLIN_ROUTING ?? (mode === "sharded" ? "dynamic" : "static")) !== "static",
            askedOfDunlin: askedOfDunlin(kind),
            noRoomList:
              mode !== "classic" &&
              kinds.includes("node") &&
              "the reference lists rooms with the classic adapter only",
          };
          for (const define of cases) describe(define.name, () => define(t));
        });
      }
      if (outside) describe("told from outside", () => emitters({ cluster: () => cluster, mode }));
    });
  }
}

/**
 * Options for a test of what only Dunlin promises where a node of the given
 * kind is asked; the reason says what the reference does instead.
 */
function askedOfDunlin(kind) {
  return (reason) => (kind === "dunlin" ? {} : { skip: `Dunlin only: ${reason}` });
}
