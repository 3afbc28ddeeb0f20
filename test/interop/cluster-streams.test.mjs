// Three nodes on one Redis in streams mode, of one kind and mixed.

import { everyMix } from "./lib/mixes.mjs";

everyMix("streams");
