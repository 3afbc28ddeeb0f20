// Three nodes on one Redis, of one kind and mixed. Every case runs with each
// kind of node in the mix as the one that is asked.

import { after, before, describe } from "node:test";
import { broadcasts } from "./cases/broadcasts.mjs";
import { names } from "./cases/names.mjs";
import { requests } from "./cases/requests.mjs";
import { Cluster } from "./lib/cluster.mjs";
import { noRedis } from "./lib/redis.mjs";
import { subject } from "./lib/subject.mjs";

const mixes = {
  dunlin: [
    ["dunlin", "dunlin", "dunlin"],
    ["dunlin", "node", "dunlin"],
    ["dunlin", "node", "node"],
  ],
  node: [["node", "node", "node"]],
}[subject];

const { ADAPTER = "classic" } = process.env;

for (const kinds of mixes) {
  const noRoomList =
    ADAPTER !== "classic" && kinds.includes("node") && "the reference lists rooms with the classic adapter only";

  describe(kinds.join(" + "), { skip: noRedis }, () => {
    let cluster;
    before(async () => (cluster = await Cluster.start(kinds)));
    after(() => cluster.stop());

    for (const kind of new Set(kinds)) {
      describe(`asked of a ${kind} node`, () => {
        const origin = kinds.indexOf(kind);
        const t = { cluster: () => cluster, origin, askedOfDunlin: askedOfDunlin(kind), noRoomList };
        for (const cases of [broadcasts, requests, names]) describe(cases.name, () => cases(t));
      });
    }
  });
}

/**
 * Options for a test of what only Dunlin promises where a node of the given
 * kind is asked; the reason says what the reference does instead.
 */
function askedOfDunlin(kind) {
  return (reason) => (kind === "dunlin" ? {} : { skip: `Dunlin only: ${reason}` });
}
