import { type Grammar, readArguments } from "./_arguments.ts";

/**
 * The names among `T` that are literal and undotted: only of those a type can be told.
 * @internal
 */
type Plain<T> = T extends string ? string extends T ? never
  : T extends "_" | `${string}.${string}` ? never
  : T
  : never;

/**
 * The types of the options named as (B)oolean, (S)tring, (C)ollected and (N)egatable.
 * @internal
 */
type Flags<B, S, C, N> =
  & { [K in Plain<Exclude<B, C>>]: boolean }
  & { [K in Plain<Exclude<S, B | C | N>>]?: string }
  & { [K in Plain<Exclude<Extract<S, N>, B | C>>]?: string | false }
  & { [K in Plain<Exclude<Extract<B, C>, S | N>>]: boolean[] }
  & { [K in Plain<Exclude<Extract<S, C>, B | N>>]: string[] };

/**
 * `T` where no option is absent that has a default in `D`.
 * @internal
 */
type WithDefaults<T, D> =
  & Omit<T, keyof D>
  & { [K in keyof D & keyof T]: D[K] | NonNullable<T[K]> };

/**
 * What stands after a lone `--`, when the option `"--"` asks for it.
 * @internal
 */
type DoubleDash<D> = true extends D ? false extends D ? { "--"?: string[] } : { "--": string[] }
  : Record<never, never>;

/** The result of {@linkcode parseArgs}. */
export type Args<
  T extends object = Record<never, never>,
  D extends boolean | undefined = undefined,
> =
  & Record<string, unknown>
  & T
  & {
    /** All arguments that belong to no option, in order. */
    _: (string | number)[];
  }
  & DoubleDash<D>;

/** How {@linkcode parseArgs} reads the arguments. */
export interface ParseOptions<
  TBooleans extends string = string,
  TStrings extends string = string,
  TCollectable extends string = string,
  TNegatable extends string = string,
  TDefault extends Record<string, unknown> = Record<string, unknown>,
  TAliases extends Record<string, string | readonly string[]> = Record<
    string,
    string | readonly string[]
  >,
  TDoubleDash extends boolean = boolean,
> {
  /** Whether what follows a lone `--` goes into a list of its own, instead of into `_`. */
  "--"?: TDoubleDash;
  /** Other names of an option: each name gets the value of all. */
  alias?: TAliases;
  /** Options that take no value and are `false` by default; `true`: all long ones without `=`. */
  boolean?: boolean | TBooleans | readonly TBooleans[];
  /** Values of options that are not given. */
  default?: TDefault;
  /** Whether everything after the first argument that is no option is left unread, in `_`. */
  stopEarly?: boolean;
  /** Options whose value stays a string though it looks like a number; `_` for the arguments. */
  string?: TStrings | readonly TStrings[];
  /** Options that may be given several times and become a list. Of others the last one counts. */
  collect?: TCollectable | readonly TCollectable[];
  /** Options that `--no-<name>` sets to `false`. */
  negatable?: TNegatable | readonly TNegatable[];
  /** Called for every argument nothing above names; when it returns `false` it is left out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/**
 * Reads command line arguments as options and a rest. Supported are `--name value`, `--name=value`,
 * `--flag`, `--no-flag`, `-n value`, `-n=value`, `-n5`, `-abc`, a dotted name (`--a.b 1` is
 * `{ a: { b: 1 } }`) and `--`, after which nothing is an option. What looks like a number becomes
 * one, except for options named in `string`.
 *
 * Names given in `boolean`, `string` and `collect` have a type in the result; everything else is
 * `unknown`.
 *
 * Throws `TypeError` for an alias that is `undefined`.
 *
 * @example
 * ```ts
 * import { parseArgs } from "@std/cli/parse-args";
 *
 * const args = parseArgs(["--port", "80", "-v", "a.txt"], { string: ["port"], boolean: ["v"] });
 * // { port: "80", v: true, _: ["a.txt"] }
 * ```
 */
export function parseArgs<
  TBooleans extends string = never,
  TStrings extends string = never,
  TCollectable extends string = never,
  TNegatable extends string = never,
  TDefault extends Record<string, unknown> = Record<never, never>,
  TAliases extends Record<string, string | readonly string[]> = Record<never, never>,
  TDoubleDash extends boolean = false,
>(
  args: string[],
  options: ParseOptions<
    TBooleans,
    TStrings,
    TCollectable,
    TNegatable,
    TDefault,
    TAliases,
    TDoubleDash
  > = {},
): Args<WithDefaults<Flags<TBooleans, TStrings, TCollectable, TNegatable>, TDefault>, TDoubleDash> {
  const grammar: Grammar = {
    aliases: readAliases(options.alias ?? {}),
    allBooleans: options.boolean === true,
    booleans: new Set(typeof options.boolean === "boolean" ? [] : list(options.boolean)),
    strings: new Set(list(options.string)),
    collected: new Set(list(options.collect)),
    negatable: new Set(list(options.negatable)),
    defaults: options.default ?? {},
    stopEarly: options.stopEarly ?? false,
    separateRest: options["--"] ?? false,
    unknown: options.unknown ?? (() => true),
  };
  for (const names of [grammar.booleans, grammar.strings, grammar.collected, grammar.negatable]) {
    for (const name of [...names]) {
      grammar.aliases.get(name)?.forEach((alias) => names.add(alias));
    }
  }
  return readArguments(args, grammar) as ReturnType<
    typeof parseArgs<TBooleans, TStrings, TCollectable, TNegatable, TDefault, TAliases, TDoubleDash>
  >;
}

function list(names: string | readonly string[] | undefined): string[] {
  return [names ?? []].flat().filter((name) => name !== "");
}

/** For every name all its other names. */
function readAliases(alias: Record<string, string | readonly string[]>): Map<string, Set<string>> {
  const result = new Map<string, Set<string>>();
  for (const [name, others] of Object.entries(alias)) {
    if (others === undefined) {
      throw new TypeError("Alias value must be defined");
    }
    const all = [name, ...[others].flat()];
    for (const one of all) {
      result.set(one, new Set(all.filter((other) => other !== one)));
    }
  }
  return result;
}
