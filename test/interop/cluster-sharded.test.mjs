// Three nodes on one Redis in sharded mode, of one kind and mixed.

import { everyMix } from "./lib/mixes.mjs";

everyMix("sharded");
