import type { OptionSpec } from "./command_spec.ts";

/** The words of a command line, with flags in the one form the parser is strict about. */
export interface FlagWords {
  /** The words without any `--flag=true` or `--flag=false`: the former are `--flag` now. */
  readonly words: readonly string[];
  /** The flags that were given as `--flag=false`: to the parser the same as not given at all. */
  readonly switchedOff: ReadonlySet<string>;
}

/**
 * Takes care of what the parser lets pass: it reads `--flag=anything` as true, a `true` or `false`
 * after a flag as the flag's value, and `--no-name=value` as `--name=value`.
 *
 * Throws what `fail` makes of a message.
 */
export function readFlags(
  options: Readonly<Record<string, OptionSpec>>,
  given: readonly string[],
  fail: (message: string) => Error,
): FlagWords {
  const end = given.indexOf("--");
  const [words, rest] = end < 0 ? [given, []] : [given.slice(0, end), given.slice(end)];
  const flags = flagNames(options);
  const kept: string[] = [];
  const switchedOff = new Set<string>();
  words.forEach((word, i) => {
    const { option, text } = split(word);
    const flag = flags.get(option);
    if (flag === undefined) {
      if (text !== undefined && option.startsWith("--no-")) throw fail(`unknown option ${option}`);
      kept.push(word);
    } else if (text === undefined) {
      const next = words[i + 1];
      if (next === "true" || next === "false") throw fail(`${option} takes no value: ${next}`);
      kept.push(word);
    } else if (text === "true") {
      kept.push(option);
    } else if (text === "false") {
      switchedOff.add(flag);
    } else {
      throw fail(`${option} takes no value but true or false`);
    }
  });
  for (const [option, flag] of flags) {
    if (switchedOff.has(flag) && kept.includes(option)) throw fail(`${option} is given on and off`);
  }
  return { words: [...kept, ...rest], switchedOff };
}

/** `-j` and `--json`, both → `json`. */
function flagNames(options: Readonly<Record<string, OptionSpec>>): Map<string, string> {
  const names = new Map<string, string>();
  for (const [name, option] of Object.entries(options)) {
    if (option.type !== "boolean") continue;
    names.set(`--${name}`, name);
    if (option.short !== undefined) names.set(`-${option.short}`, name);
  }
  return names;
}

function split(word: string): { option: string; text: string | undefined } {
  const equals = word.startsWith("-") ? word.indexOf("=") : -1;
  if (equals < 0) return { option: word, text: undefined };
  return { option: word.slice(0, equals), text: word.slice(equals + 1) };
}
