import type { CommandSpec, LeafCommandSpec, OptionSpec, PositionalSpec } from "./command_spec.ts";
import { formatDuration } from "./duration.ts";

/** Every terminal has these, and longer lines are hard to read on any. */
const WIDTH = 80;

/** The explanations begin here at the latest; a longer left side gets a line of its own. */
const MAX_LEFT = 30;

/** `--help` and `--version`, which every command has unless it declares its own. */
export const BUILT_IN: Readonly<Record<"help" | "version", OptionSpec>> = {
  help: { type: "boolean", help: "Show this help and exit", short: "h" },
  version: { type: "boolean", help: "Show the version and exit" },
};

/** A command with everything it inherits from its program, ready to be parsed and explained. */
export interface ActiveCommand {
  /** The words that run it: `"upgrade"`, `"upgrade status"`. */
  readonly title: string;
  /** The program it belongs to. */
  readonly program: CommandSpec;
  /** The program's command that was named; `undefined` for the program itself. */
  readonly named: LeafCommandSpec | undefined;
  /** What is run: the command named or meant by default, else the program itself. */
  readonly spec: LeafCommandSpec;
  /** The options that the program and the command declare. */
  readonly declared: Readonly<Record<string, OptionSpec>>;
  /** All options it understands: the declared ones, and the built-in ones last. */
  readonly options: Readonly<Record<string, OptionSpec>>;
}

/**
 * Puts a command together with what it inherits. When `name` is undefined, that is the program
 * itself, which also understands what its default command does.
 */
export function activeCommand(program: CommandSpec, name?: string): ActiveCommand {
  const named = name === undefined ? undefined : program.commands?.[name];
  const spec = named ?? program.commands?.[program.defaultCommand ?? ""] ?? program;
  const title = named === undefined ? program.name : `${program.name} ${name}`;
  const declared = { ...program.options, ...spec.options };
  const options = { ...declared, ...builtInBeside(declared) };
  return { title, program, named, spec, declared, options };
}

/** The usage line alone, which is also the hint of every usage error. */
export function usageLine({ title, program, named, spec }: ActiveCommand): string {
  const words = ["Usage:", title, "[options]"];
  if (named === undefined && program.commands !== undefined) words.push("[command]");
  for (const positional of spec.positionals ?? []) words.push(positionalUsage(positional));
  return words.join(" ");
}

/** The whole help text of a program, or of one of its commands, ending in a newline. */
export function helpText(program: CommandSpec, name?: string): string {
  const command = activeCommand(program, name);
  const { title, named, spec, options } = command;
  const { summary, notes = "" } = named ?? program;
  const sections = [
    wrap(`${title}: ${summary}`, WIDTH).join("\n"),
    usageLine(command),
    named === undefined ? commandsSection(program) : "",
    table("Arguments:", (spec.positionals ?? []).map((p) => [`  ${p.name}`, p.help])),
    table("Options:", Object.entries(options).map(optionRow)),
    table("Environment:", environmentRows(command)),
    notes.split("\n").flatMap(wrapIndented).join("\n"),
  ];
  const texts = sections.filter((section) => section !== "").map((text) => text.trimEnd());
  return `${texts.join("\n\n")}\n`;
}

function builtInBeside(declared: Readonly<Record<string, OptionSpec>>): Record<string, OptionSpec> {
  const taken = new Set(Object.values(declared).map((option) => option.short));
  const added: Record<string, OptionSpec> = {};
  for (const [name, option] of Object.entries(BUILT_IN)) {
    if (name in declared) continue;
    const { short, ...rest } = option;
    added[name] = short === undefined || taken.has(short) ? rest : option;
  }
  return added;
}

function positionalUsage({ name, optional, multiple }: PositionalSpec): string {
  const word = multiple ? `${name}...` : name;
  return optional ? `[${word}]` : `<${word}>`;
}

function commandsSection(program: CommandSpec): string {
  return table(
    "Commands:",
    Object.entries(program.commands ?? {}).map(([name, command]) => [
      `  ${name}`,
      name === program.defaultCommand ? `${command.summary} (the default)` : command.summary,
    ]),
  );
}

function optionRow([name, option]: [string, OptionSpec]): [string, string] {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  const value = option.type === "boolean" ? "" : ` <${option.placeholder ?? option.type}>`;
  const remarks: string[] = [];
  if (option.multiple) remarks.push("may be repeated");
  if (option.type === "duration" && option.default !== undefined) {
    remarks.push(`default: ${formatDuration(option.default)}`);
  } else if (option.type !== "boolean" && option.default !== undefined) {
    remarks.push(`default: ${option.default}`);
  }
  const remark = remarks.length === 0 ? "" : ` (${remarks.join("; ")})`;
  return [`  ${short}--${name}${value}`, `${option.help}${remark}`];
}

function environmentRows({ spec, program, options }: ActiveCommand): [string, string][] {
  const rows: [string, string][] = [];
  for (const [name, option] of Object.entries(options)) {
    if (option.env !== undefined) rows.push([`  ${option.env}`, `Same as --${name}`]);
  }
  const others = { ...program.environment, ...spec.environment };
  for (const [name, meaning] of Object.entries(others)) rows.push([`  ${name}`, meaning]);
  return rows;
}

function table(title: string, rows: readonly (readonly [string, string])[]): string {
  if (rows.length === 0) return "";
  const fitting = rows.map(([left]) => left.length + 2).filter((length) => length <= MAX_LEFT);
  const indent = Math.max(0, ...fitting) || MAX_LEFT;
  const lines = [title];
  for (const [left, right] of rows) {
    const [first = "", ...rest] = wrap(right, WIDTH - indent);
    if (left.length + 2 <= indent) lines.push(left.padEnd(indent) + first);
    else lines.push(left, " ".repeat(indent) + first);
    lines.push(...rest.map((line) => " ".repeat(indent) + line));
  }
  return lines.join("\n");
}

/** A line that fits stays as it is; of a longer one all parts begin where it does. */
function wrapIndented(line: string): string[] {
  if (line.length <= WIDTH) return [line];
  const [indent = ""] = /^ */.exec(line) ?? [];
  return wrap(line.trim(), WIDTH - indent.length).map((part) => indent + part);
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
