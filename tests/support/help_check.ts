import { helpText, parseCommand } from "../../lib/cli/args.ts";
import type { CommandSpec, OptionSpec } from "../../lib/cli/command_spec.ts";
import { UsageError } from "../../lib/cli/errors.ts";
import { activeCommand } from "../../lib/cli/help.ts";

/** What a terminal shows of a line without wrapping it. */
const MAX_COLUMNS = 80;

/**
 * What is wrong between a program's help texts and its parser: options that are shown but do not
 * parse, that parse but are not shown, and lines that are too long.
 */
export function helpProblems(spec: CommandSpec): string[] {
  const names = [undefined, ...Object.keys(spec.commands ?? {})];
  const everywhere = new Set(
    names.flatMap((name) => Object.keys(activeCommand(spec, name).options)),
  );
  return names.flatMap((name) => {
    const text = helpText(spec, name);
    const shown = new Set(optionsShown(text));
    return [
      ...text.split("\n").filter((line) => line.length > MAX_COLUMNS),
      ...[...shown].flatMap((option) => problemOfShown(spec, name, option)),
      ...[...everywhere, "an-option-of-nobody"].map((option) => `--${option}`)
        .filter((option) => !shown.has(option))
        .flatMap((option) => problemOfHidden(spec, name, option)),
    ];
  });
}

/** The options that a help text names, short and long, in order. */
export function optionsShown(text: string): string[] {
  const rows = text.split("\n").filter((line) => /^ {2}(?: {4}|-\w, )--/.test(line));
  return rows.flatMap((row) => {
    const [left = ""] = row.trim().split(/ {2,}/);
    return left.match(/(?<![\w-])--?[\w-]+/g) ?? [];
  });
}

function problemOfShown(spec: CommandSpec, name: string | undefined, option: string): string[] {
  const { options, spec: own } = activeCommand(spec, name);
  const found = Object.entries(options).find(([long, { short }]) =>
    option === `--${long}` || option === `-${short}`
  );
  if (found === undefined) return [`${option} is shown and not declared`];
  const positionals = (own.positionals ?? []).map(() => "x");
  const argv = [option, ...valueOf(found[1]), ...positionals];
  try {
    parseCommand(spec, name === undefined ? argv : [name, ...argv], () => undefined);
    return [];
  } catch (e) {
    if (!(e instanceof UsageError)) throw e;
    return [`${argv.join(" ")} is shown and refused: ${e.message}`];
  }
}

function problemOfHidden(spec: CommandSpec, name: string | undefined, option: string): string[] {
  const argv = name === undefined ? [option] : [name, option];
  try {
    parseCommand(spec, argv, () => undefined);
  } catch (e) {
    if (e instanceof UsageError && e.message.startsWith("unknown option")) return [];
    if (!(e instanceof UsageError)) throw e;
  }
  return [`${argv.join(" ")} is not shown and not refused`];
}

function valueOf(option: OptionSpec): string[] {
  if (option.type === "boolean") return [];
  return [option.type === "integer" ? `${option.min ?? 0}` : "5"];
}
