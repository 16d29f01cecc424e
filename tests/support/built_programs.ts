import { fromFileUrl, join } from "@std/path";
import { buildPrograms } from "../../lib/release/build.ts";
import type { ProgramSpec } from "../../lib/release/programs.ts";
import { hostTarget } from "../../lib/release/targets.ts";

/** The root of this checkout. */
export const ROOT = fromFileUrl(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** What to build, see {@linkcode builtPrograms}. */
export interface Wanted {
  readonly version: string;
  /** Default: all that there are. */
  readonly programs?: readonly ProgramSpec[];
}

/**
 * The directory of the built programs of a version, in the bundled flavour. Built where they are not
 * there yet; the directory stays and belongs to all tests, which only read it.
 */
export async function builtPrograms({ version, programs }: Wanted): Promise<string> {
  const { directory } = await buildPrograms({
    root: ROOT,
    target: hostTarget(),
    version,
    flavour: "bundled",
    directory: join(ROOT, "build", "test", version),
    ...(programs === undefined ? {} : { programs }),
    output: { info: () => {} },
  });
  return directory;
}
