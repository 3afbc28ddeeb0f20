// Three nodes on one Redis in classic mode, of one kind and mixed.

import { everyMix } from "./lib/mixes.mjs";

everyMix("classic");
