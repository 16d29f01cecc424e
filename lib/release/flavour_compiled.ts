/** The compiled flavour: one standalone binary per program, made by `deno compile`. */

import { OngridError } from "../cli/errors.ts";
import { permissionFlags, type ProgramSpec } from "./programs.ts";
import { runDeno } from "./run_deno.ts";
import { hostTarget, namesOf, type Target } from "./targets.ts";

/** Which program to compile, for what. */
export interface CompileOptions {
  readonly program: ProgramSpec;
  readonly target: Target;
  /** The program's modules in one file, stamped with its version. */
  readonly source: string;
  /** The binary; replaced where it exists. */
  readonly output: string;
}

/** The command line after `deno`. */
export function compileArgs({ program, target, source, output }: CompileOptions): string[] {
  return [
    "compile",
    "--quiet",
    "--ext=js",
    "--no-config",
    "--no-lock",
    "--no-check",
    "--no-remote",
    "--no-npm",
    "--no-code-cache",
    ...permissionFlags(program.permissions),
    `--target=${namesOf(target).triple}`,
    `--output=${output}`,
    source,
  ];
}

/**
 * Compiles one program.
 *
 * @throws {OngridError} No base binary can be had.
 */
export async function compileProgram(options: CompileOptions, cwd: string): Promise<void> {
  const { program, target } = options;
  await runDeno(compileArgs(options), {
    cwd,
    what: `compile ${program.name} for ${target}`,
    hint: "It needs the base binary from dl.deno.land, once, or one that DENORT_BIN names. " +
      "--flavour bundled needs neither.",
  });
}

/** Whether a binary for `target` can be started here. */
export function runsHere(target: Target): boolean {
  return target === hostTarget();
}

/**
 * Starts a compiled program to see that it is one: a base binary that is an ordinary `deno` makes
 * files that look right and are the Deno command line.
 *
 * @throws {OngridError} It does not print `version` for `--version`.
 */
export async function checkCompiled(path: string, version: string): Promise<void> {
  const { stdout } = await new Deno.Command(path, {
    args: ["--version"],
    env: { DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stderr: "null",
  }).output();
  const said = new TextDecoder().decode(stdout).trim();
  if (said === version) return;
  throw new OngridError(`${path} is not the program: --version prints "${said.split("\n")[0]}"`, {
    hint: "DENORT_BIN must name a denort binary, not deno. --flavour bundled needs none.",
  });
}
