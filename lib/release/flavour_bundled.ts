/** The bundled flavour: one executable script per program. */

import { OngridError } from "../cli/errors.ts";
import { join } from "@std/path";
import { launcher } from "./launcher.ts";
import type { ProgramSpec } from "./programs.ts";
import { runDeno } from "./run_deno.ts";

/** What stands for the version in the sources, quoted as it is there. */
const UNSTAMPED = `"v0.0.0-dev"`;

/** Which program to bundle, as which version. */
export interface BundleOptions {
  /** The checkout that `program.entry` is relative to. */
  readonly root: string;
  readonly program: ProgramSpec;
  /** What the program prints for `--version`. */
  readonly version: string;
}

/**
 * All modules of a program in one text, stamped with its version: what either flavour is made of.
 *
 * @throws {OngridError} The modules cannot be bundled, or do not name the version exactly once.
 */
export async function bundleModules({ root, program, version }: BundleOptions): Promise<string> {
  const directory = Deno.makeTempDirSync({ prefix: "ongrid-bundle-" });
  try {
    const output = join(directory, "program.js");
    await runDeno(["bundle", "--quiet", "--frozen", "--output", output, program.entry], {
      cwd: root,
      what: `bundle ${program.entry}`,
    });
    return stampVersion(Deno.readTextFileSync(output), { name: program.name, version });
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** The script that a program is in the bundled flavour. */
export function bundledScript(program: ProgramSpec, modules: string): string {
  return launcher(program.permissions) + modules;
}

/**
 * Puts the version into a bundled program.
 *
 * @throws {OngridError} The place for it is not there, or there is more than one: the program would
 * report another version than its bundle has, and be rolled back everywhere.
 */
export function stampVersion(
  text: string,
  { name, version }: { name: string; version: string },
): string {
  const parts = text.split(UNSTAMPED);
  if (parts.length !== 2) {
    throw new OngridError(
      `Cannot stamp ${name} with ${version}: ${UNSTAMPED} is in it ${parts.length - 1} times`,
      {
        hint: "It belongs into lib/cli/version.ts, which every program imports, and nowhere else.",
      },
    );
  }
  return parts.join(JSON.stringify(version));
}
