/** The hook as it ships: built, in the bundled flavour, started by its own first line. */

import { join } from "@std/path";
import { programsIn } from "../../../lib/release/programs.ts";
import { builtPrograms, ROOT } from "../../support/built_programs.ts";

const HOOK_NAME = "apply-pending-upgrade";

/** The guard as it ships. */
export const GUARD = join(ROOT, "deploy/edge/apply-pending-upgrade.sh");

/** A shell hook written after the reference description. */
export const SHELL_HOOK = join(ROOT, "tests/support/reference_hook.sh");

/** Where the built programs are. */
export interface BuiltHook {
  readonly hook: string;
  readonly runtime: string;
}

/** Builds the hook where that is out of date. */
export async function builtHook(): Promise<BuiltHook> {
  const programs = programsIn(ROOT).filter(({ name }) => name === HOOK_NAME);
  const directory = await builtPrograms({ version: "v9.8.7-host.1", programs });
  return { hook: join(directory, HOOK_NAME), runtime: join(directory, "ongrid-runtime") };
}
