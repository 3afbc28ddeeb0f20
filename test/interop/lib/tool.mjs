import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The full path of a program on the PATH, or undefined. */
export function find(program) {
  for (const dir of (process.env.PATH ?? "").split(delimiter)) {
    try {
      const path = join(dir, program);
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
}

/**
 * The reason to skip what needs a tool, or false if it is there. In continuous
 * integration nothing is skipped: a missing tool is an error.
 */
export function missing(present, install) {
  if (present) return false;
  if (process.env.CI === "true") throw new Error(install);
  return install;
}
