import { parseArgs } from "@std/cli/parse-args";
import type { CommandSpec, OptionSpec, Parsed } from "./command_spec.ts";
import { UsageError } from "./errors.ts";
import { readFlags } from "./flag_words.ts";
import { type ActiveCommand, activeCommand, helpText, usageLine } from "./help.ts";
import { type AnyValue, BadValue, defaultValue, valueFromText } from "./option_values.ts";
import { closest } from "./suggest.ts";
import { VERSION } from "./version.ts";

export type { CommandSpec, OptionSpec, Parsed } from "./command_spec.ts";
export { helpText } from "./help.ts";

/** Looks up one environment variable. */
export type ReadEnv = (name: string) => string | undefined;

/**
 * Declares a program's command line; it is returned as it is, with the types that
 * {@linkcode parseCommand} derives the parsed options from.
 *
 * @example
 * ```ts
 * const SPEC = defineCommand({
 *   name: "demo",
 *   summary: "Upgrade a fleet in a temporary directory",
 *   options: { edges: { type: "integer", help: "How many edges to start", default: 5, min: 1 } },
 * });
 * const parsed = parseCommand(SPEC, Deno.args);
 * if (parsed.kind === "run") start(parsed.options.edges);
 * ```
 */
export function defineCommand<const S extends CommandSpec>(spec: S): S {
  return spec;
}

/**
 * Understands a command line. An option that is not there is taken from its environment variable,
 * each read once, and then from its default. Values that begin with a dash need the form
 * `--name=-value`; all after `--` are arguments.
 *
 * Throws `UsageError`, with the usage line as hint, for an unknown option or command, a missing or
 * bad value, a missing or a surplus argument.
 */
export function parseCommand<S extends CommandSpec>(
  spec: S,
  argv: readonly string[],
  env: ReadEnv = (name) => Deno.env.get(name),
): Parsed<S> {
  const { name, words } = chooseCommand(spec, argv);
  const command = activeCommand(spec, name);
  const given = parseWords(command, words);
  const parsed = wantsText(command, given, () => helpText(spec, name)) ?? {
    kind: "run",
    command: name ?? spec.defaultCommand,
    options: optionValues(command, given, env),
    positionals: checkPositionals(command, given.positionals),
  };
  // The one place where what was found at run time takes the type that the spec promises.
  return parsed as unknown as Parsed<S>;
}

/** What was on the command line: option name → text (`""` where none followed), flag or texts. */
interface Given {
  readonly options: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
  readonly switchedOff: ReadonlySet<string>;
}

/** Finds the command's name, which stands before all other arguments, and takes it out. */
function chooseCommand(
  spec: CommandSpec,
  argv: readonly string[],
): { name: string | undefined; words: readonly string[] } {
  const none = { name: undefined, words: argv };
  if (spec.commands === undefined) return none;
  const program = activeCommand(spec);
  const end = argv.indexOf("--");
  const words = end < 0 ? argv : argv.slice(0, end);
  const { positionals } = scan(program, words, { stopEarly: true });
  const [name] = positionals;
  if (name === undefined) return none;
  if (Object.hasOwn(spec.commands, name)) {
    const index = words.length - positionals.length;
    return { name, words: [...argv.slice(0, index), ...argv.slice(index + 1)] };
  }
  if ((program.spec.positionals ?? []).length > 0) return none;
  throw usage(program, `unknown command ${name}${closest(name, Object.keys(spec.commands))}`);
}

function parseWords(command: ActiveCommand, given: readonly string[]): Given {
  const fail = (message: string) => usage(command, message);
  const { words, switchedOff } = readFlags(command.options, given, fail);
  return { ...scan(command, words, { stopEarly: false }), switchedOff };
}

function scan(
  command: ActiveCommand,
  words: readonly string[],
  { stopEarly }: { stopEarly: boolean },
): Omit<Given, "switchedOff"> {
  const entries = Object.entries(command.options);
  const named = (wanted: (option: OptionSpec) => boolean | undefined) =>
    entries.filter(([, option]) => wanted(option)).map(([name]) => name);
  const alias: Record<string, string> = {};
  for (const [name, { short }] of entries) if (short !== undefined) alias[name] = short;
  const { _: positionals, ...options } = parseArgs([...words], {
    boolean: named((option) => option.type === "boolean"),
    // "_" as well, or an argument that looks like a number becomes one.
    string: ["_", ...named((option) => option.type !== "boolean")],
    collect: named((option) => option.multiple),
    alias,
    stopEarly,
    unknown: (word, key) => {
      if (key !== undefined) throw unknownOption(command, word);
      return true;
    },
  });
  return { options, positionals: positionals.map(String) };
}

function wantsText({ declared }: ActiveCommand, { options }: Given, help: () => string) {
  if (!("help" in declared) && options["help"] === true) return { kind: "help", text: help() };
  if (!("version" in declared) && options["version"] === true) {
    return { kind: "version", text: VERSION };
  }
  return undefined;
}

function optionValues(
  command: ActiveCommand,
  given: Given,
  env: ReadEnv,
): Record<string, AnyValue> {
  const values: Record<string, AnyValue> = {};
  for (const [name, option] of Object.entries(command.declared)) {
    const value = option.type === "boolean"
      ? givenFlag(command, name, given)
      : givenValue(command, name, option, given.options[name]);
    values[name] = value ?? envValue(command, option, env) ?? defaultValue(option);
  }
  return values;
}

function givenFlag(command: ActiveCommand, name: string, given: Given): boolean | undefined {
  const raw = given.options[name] ?? false;
  if (typeof raw !== "boolean") throw usage(command, `--${name} takes no value`);
  return raw || given.switchedOff.has(name) ? raw : undefined;
}

function givenValue(
  command: ActiveCommand,
  name: string,
  option: OptionSpec,
  raw: unknown,
): AnyValue {
  if (raw === undefined) return undefined;
  const texts = (Array.isArray(raw) ? raw : [raw]).map(String);
  if (texts.includes("")) throw usage(command, `--${name} needs a value`);
  if (option.multiple) return texts;
  return checked(command, option, texts.at(-1) ?? "", `--${name}`);
}

function envValue(command: ActiveCommand, option: OptionSpec, env: ReadEnv): AnyValue {
  if (option.env === undefined) return undefined;
  const text = env(option.env);
  if (text === undefined || text === "") return undefined;
  return checked(command, option, text, `the environment variable ${option.env}`);
}

function checked(command: ActiveCommand, option: OptionSpec, text: string, where: string) {
  const value = valueFromText(option, text);
  if (value instanceof BadValue) throw usage(command, `${where}: "${text}" ${value.reason}`);
  return value;
}

function checkPositionals(command: ActiveCommand, given: readonly string[]): readonly string[] {
  const specs = command.spec.positionals ?? [];
  const missing = specs.find((spec, index) => !spec.optional && index >= given.length);
  if (missing !== undefined) throw usage(command, `<${missing.name}> is missing`);
  const surplus = specs.at(-1)?.multiple ? undefined : given[specs.length];
  if (surplus !== undefined) throw usage(command, `unexpected argument "${surplus}"`);
  return given;
}

function unknownOption(command: ActiveCommand, word: string): UsageError {
  // Without its value, which may be a secret.
  const name = word.replace(/=[\s\S]*$/, "");
  const known = Object.keys(command.options).map((option) => `--${option}`);
  // The parser does not know `--name=` for a form of `--name`.
  if (known.includes(name)) return usage(command, `${name} needs a value`);
  return usage(command, `unknown option ${name}${closest(name, known)}`);
}

function usage(command: ActiveCommand, message: string): UsageError {
  const hint = `${usageLine(command)}\nRun "${command.title} --help" for all options.`;
  return new UsageError(message, { hint });
}
