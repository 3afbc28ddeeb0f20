// Three nodes on one Redis, mixed, with options that all of them have and
// options that Node.js nodes must not notice.

import parser from "socket.io-msgpack-parser";
import { broadcasts } from "./cases/broadcasts.mjs";
import { names } from "./cases/names.mjs";
import { requests } from "./cases/requests.mjs";
import { values } from "./cases/values.mjs";
import { everyMix, everything, modes } from "./lib/mixes.mjs";
import { subject } from "./lib/subject.mjs";

for (const mode of modes) {
  everyMix(mode, {
    title: "MessagePack to the clients",
    kinds: [subject === "node" ? ["node", "node", "node"] : ["dunlin", "node", "dunlin"]],
    cases: [broadcasts, values],
    outside: false,
    env: { PARSER: "msgpack" },
    client: { parser },
  });

  // Everything else runs with the extension.
  if (subject === "node") continue;
  everyMix(mode, {
    title: "without the extension",
    kinds: [["dunlin", "node", "dunlin"]],
    cases: [broadcasts, requests, values],
    env: { DUNLIN_NO_EXTENSION: "1" },
  });
  everyMix(mode, {
    title: "the first without the extension",
    kinds: [["dunlin", "node", "dunlin"]],
    cases: [broadcasts, requests],
    outside: false,
    env: [{ DUNLIN_NO_EXTENSION: "1" }, {}, {}],
  });

  // How the reference calls its options for the sharded mode; to Node.js nodes
  // in classic mode it makes no difference what others subscribe to.
  const routings = { classic: ["dynamic", "dynamic-private"], sharded: ["static", "dynamic-private"] }[mode] ?? [];
  for (const routing of everything ? routings : routings.slice(1)) {
    everyMix(mode, {
      title: `${routing} routing`,
      kinds: [["dunlin", "node", "dunlin"]],
      cases: [broadcasts, requests, names],
      outside: false,
      env: { DUNLIN_ROUTING: routing },
    });
  }
}
