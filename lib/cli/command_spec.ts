interface AnyOption {
  /** One or two sentences for the help text, without a final full stop. */
  readonly help: string;
  /** One letter for the short form, without the dash. */
  readonly short?: string;
}

interface EnvOption extends AnyOption {
  /** The environment variable that is taken when the option is not given; empty counts as unset. */
  readonly env?: string;
}

interface ValueOption extends EnvOption {
  /** What the value is called in the help text; default: the type. */
  readonly placeholder?: string;
}

/** `--json`; also `--json=false`, to overrule an environment variable. */
export interface BooleanOption extends EnvOption {
  readonly type: "boolean";
  readonly placeholder?: never;
  readonly multiple?: never;
  readonly default?: false;
}

/** `--name TEXT` or `--name=TEXT`; the text is not empty. */
export interface StringOption extends ValueOption {
  readonly type: "string";
  readonly multiple?: false;
  readonly default?: string;
}

/** `--edge A --edge B`: all of the values, in order; none is an empty array. */
export interface RepeatedOption extends AnyOption {
  readonly type: "string";
  readonly multiple: true;
  readonly placeholder?: string;
  readonly env?: never;
  readonly default?: never;
}

/** `--edges 5`. */
export interface IntegerOption extends ValueOption {
  readonly type: "integer";
  readonly multiple?: never;
  readonly default?: number;
  /** The smallest value accepted; default 0. */
  readonly min?: number;
  /** The largest value accepted; default: the largest safe integer. */
  readonly max?: number;
}

/** `--timeout 90`, `90s`, `1m30s`; in milliseconds once parsed. */
export interface DurationOption extends ValueOption {
  readonly type: "duration";
  readonly multiple?: never;
  /** Milliseconds. */
  readonly default?: number;
}

/** One option of a command. */
export type OptionSpec =
  | BooleanOption
  | StringOption
  | RepeatedOption
  | IntegerOption
  | DurationOption;

/** Options by their long name as it is typed, without the dashes: `"dry-run"`. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** One argument that is not an option. */
export interface PositionalSpec {
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
  /** Takes all that follow, too; only for the last one. */
  readonly multiple?: boolean;
}

/** A command without commands of its own. */
export interface LeafCommandSpec {
  /** What is typed to run it. */
  readonly name: string;
  /** One line for the help text, without a final full stop. */
  readonly summary: string;
  readonly options?: OptionSpecs;
  readonly positionals?: readonly PositionalSpec[];
  /** Environment variables it reads beside those of its options: name → meaning. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Paragraphs that end the help text: examples, exit codes. Line breaks are kept. */
  readonly notes?: string;
}

/**
 * A program's command line. Its own options are understood by all of its commands, before and after
 * the command's name. `--help` and `--version` are there by themselves, unless an option of that
 * name is declared.
 */
export interface CommandSpec extends LeafCommandSpec {
  /** Commands by name; each one's `name` is that name again. */
  readonly commands?: Readonly<Record<string, LeafCommandSpec>>;
  /** The command that is meant when none is named; without it, the program itself runs then. */
  readonly defaultCommand?: string;
}

/** The type of an option's value once it is parsed. */
export type OptionValue<O extends OptionSpec> = O extends { type: "boolean" } ? boolean
  : O extends { multiple: true } ? string[]
  :
    | (O extends { type: "string" } ? string : number)
    | (O extends { default: string | number } ? never : undefined);

type OptionsOf<C> = C extends { options: infer O extends OptionSpecs } ? O : Record<never, never>;

/** The values of all options, by the name as it is typed. */
export type OptionValues<O> = {
  readonly [K in keyof O]: O[K] extends OptionSpec ? OptionValue<O[K]> : never;
};

/** What {@linkcode parseCommand} found to be run; `command` tells the cases apart. */
export interface Run<Name, Options> {
  readonly kind: "run";
  readonly command: Name;
  readonly options: OptionValues<Options>;
  readonly positionals: readonly string[];
}

type OwnRun<S> = S extends { defaultCommand: string } ? never : Run<undefined, OptionsOf<S>>;

type CommandRuns<S> = S extends { commands: infer C } ? {
    [N in keyof C]: Run<N, OptionsOf<S> & OptionsOf<C[N]>>;
  }[keyof C]
  : never;

/**
 * The command line, understood. `text` is what to print: the help text of the program or command
 * asked for, or the version alone.
 */
export type Parsed<S extends CommandSpec> =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version"; readonly text: string }
  | OwnRun<S>
  | CommandRuns<S>;
