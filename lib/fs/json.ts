import { OngridError } from "../cli/errors.ts";
import { type WriteDurableOptions, writeFileDurable } from "./durable.ts";
import { readForeignText } from "./foreign.ts";

/** How {@linkcode readJson} reads. */
export interface ReadJsonOptions<T> {
  /** A larger file is refused. */
  maxBytes: number;
  /** Returns the value, typed, or throws an error that says what is wrong with it. */
  check: (value: unknown) => T;
}

/**
 * Reads a JSON file of our own; `undefined` when it does not exist. Throws `OngridError` naming the
 * path when it is not JSON or `check` rejects it, `ForeignFileError` when it is not a regular file
 * of at most `maxBytes`.
 *
 * @example
 * ```ts
 * const state = readJson("/var/lib/x/state.json", { maxBytes: 65536, check: checkState });
 * ```
 */
export function readJson<T>(path: string, options: ReadJsonOptions<T>): T | undefined {
  const text = readForeignText(path, { maxBytes: options.maxBytes });
  if (text === undefined) return undefined;
  try {
    return options.check(JSON.parse(text));
  } catch (e) {
    throw new OngridError(`Cannot use ${path}`, { cause: e });
  }
}

/**
 * Writes a value as indented JSON with a final newline, all or nothing: see
 * {@linkcode writeFileDurable}.
 */
export function writeJson(path: string, value: unknown, options: WriteDurableOptions = {}): void {
  writeFileDurable(path, `${JSON.stringify(value, null, 2)}\n`, options);
}
