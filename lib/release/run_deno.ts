/** Runs the Deno that runs this very program. */

import { OngridError } from "../cli/errors.ts";

/** How {@linkcode runDeno} runs. */
export interface RunDenoOptions {
  readonly cwd: string;
  /** What it is for: the error reads "Cannot <what>". */
  readonly what: string;
  /** What to do where it fails. */
  readonly hint?: string;
}

/** Lines of a failed command's output that its error quotes: the cause is in the first few. */
const QUOTED_LINES = 12;

/**
 * Runs a subcommand and returns what it printed on stdout.
 *
 * @throws {OngridError} quoting the beginning of its stderr.
 */
export async function runDeno(args: readonly string[], options: RunDenoOptions): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: options.cwd,
    env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (code === 0) return new TextDecoder().decode(stdout);
  const said = new TextDecoder().decode(stderr).replace(/\n\nStack backtrace:[^]*/, "").trim();
  const quoted = said.split("\n").slice(0, QUOTED_LINES).join("\n");
  throw new OngridError(`Cannot ${options.what}`, {
    cause: new Error(quoted || `deno ${args[0]} ended with ${code}`),
    hint: options.hint,
  });
}
