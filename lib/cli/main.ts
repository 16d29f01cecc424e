import { describeError, OngridError, systemCode } from "./errors.ts";
import { lineStyle, type OutputOptions } from "./output.ts";
import { readOptionalEnv } from "./read_env.ts";
import { sanitize } from "./sanitize.ts";
import { streamWriter } from "./stream_writer.ts";
import { VERSION } from "./version.ts";

/** What {@linkcode runMain} writes to; the default is the process's stderr. */
export type MainOptions = Pick<OutputOptions, "env" | "isTerminal" | "writeError">;

/**
 * Runs a program and returns its exit code. What it throws is printed as `error:` (what was being
 * done, why it failed) and `hint:` (what to do next); a stack trace only with `ONGRID_DEBUG=1`.
 *
 * @example
 * ```ts
 * if (import.meta.main) Deno.exit(await runMain("upgrade", () => run(Deno.args)));
 * ```
 */
export async function runMain(
  name: string,
  program: () => Promise<number> | number,
  options: MainOptions = {},
): Promise<number> {
  try {
    return await program();
  } catch (e) {
    const { message, hint, exitCode } = describeError(e);
    const write = options.writeError ?? streamWriter(Deno.stderr);
    // Priority 3 is an error to systemd's journal.
    const prefix = lineStyle(options).journal ? "<3>" : "";
    const say = (label: string, text: string) => write(labelled({ prefix, label, text }));
    say("error: ", message);
    const advice = hint ?? (isDefect(e) ? defectHint(name) : undefined);
    if (advice !== undefined) say("hint: ", advice);
    if (debugging(options) && e instanceof Error) say("", e.stack ?? e.message);
    return exitCode;
  }
}

/** Later lines are indented below the first, so that none of them passes for a message of its own. */
function labelled({ prefix, label, text }: Record<"prefix" | "label" | "text", string>): string {
  const [first = "", ...rest] = sanitize(text).replace(/\n+$/, "").split("\n");
  const lines = [`${label}${first}`, ...rest.map((line) => `${" ".repeat(label.length)}${line}`)];
  return lines.map((line) => `${prefix}${line}\n`).join("");
}

/** Errors that the world causes have a class of ours or a system code; the rest are mistakes here. */
function isDefect(e: unknown): boolean {
  return !(e instanceof OngridError) && systemCode(e) === undefined &&
    !Object.values(Deno.errors).some((known) => e instanceof known);
}

function defectHint(name: string): string {
  return `This looks like a defect of ${name} ${VERSION}: please report it with what ` +
    "ONGRID_DEBUG=1 prints in addition.";
}

function debugging(options: MainOptions): boolean {
  return (options.env ?? readOptionalEnv)("ONGRID_DEBUG") === "1";
}
