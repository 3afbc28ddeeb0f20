// A reporter for node --test that says in one line of JSON each what became of
// a test or suite, and where in the sources it is. tools/compat reads it.

import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));

export default async function* results(events) {
  yield `${JSON.stringify({ subject: process.env.SUBJECT })}\n`;
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { file, line, name, nesting: depth, skip, details } = data;
    const state = type === "test:fail" ? "fail" : skip === undefined || skip === false ? "pass" : "skip";
    yield `${JSON.stringify({ file: relative(here, file), line, name, suite: details?.type === "suite", depth, state })}\n`;
  }
}
