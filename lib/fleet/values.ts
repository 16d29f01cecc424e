/** Reading values that others wrote: JSON from edges and clients, text that ends up on terminals. */

import { sanitizeLine } from "../cli/sanitize.ts";

/** A parsed JSON object whose fields have not been looked at. */
export type JsonObject = Record<string, unknown>;

type SourceReviver = (
  this: unknown,
  key: string,
  value: unknown,
  context?: { source?: string },
) => unknown;

/**
 * Parses JSON; integers that a double cannot hold become a `bigint`, so that ids of 64 bits
 * survive.
 *
 * @throws {SyntaxError} Not JSON, or nested deeper than can be read.
 */
export function parseJson(text: string): unknown {
  const exact: SourceReviver = (_key, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? "";
    return /^-?\d{1,20}$/.test(source) ? BigInt(source) : value;
  };
  try {
    return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
  } catch (e) {
    // The reviver is called from within each level of the value, and the stack has an end.
    if (e instanceof RangeError) throw new SyntaxError("nested too deeply");
    throw e;
  }
}

/** `value` as JSON; a `bigint` becomes a number where a double can hold it, else a string. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item) => {
    if (typeof item !== "bigint") return item;
    const number = Number(item);
    return Number.isSafeInteger(number) ? number : item.toString();
  });
}

/** Whether `value` is a JSON object (not an array, not null). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Text of others made fit for a log line, a terminal and a table: one line without control
 * characters; anything beyond `maxChars` is cut off and marked.
 */
export function cleanText(text: string, maxChars: number): string {
  const plain = sanitizeLine(text).trim();
  return plain.length <= maxChars ? plain : `${plain.slice(0, maxChars - 1)}…`;
}

/** The text field `key`, cleaned; empty when it is absent or not text. */
export function textField(object: JsonObject, key: string, maxChars: number): string {
  const value = object[key];
  return typeof value === "string" ? cleanText(value, maxChars) : "";
}

/** The field `key` as a whole number of at least 0; `undefined` when it is anything else. */
export function countField(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** `value` as an id (1 to 2^63-1), from a JSON number or a decimal string. */
export function parseId(value: unknown): bigint | undefined {
  const text = typeof value === "number" && Number.isSafeInteger(value)
    ? String(value)
    : typeof value === "bigint" || typeof value === "string"
    ? String(value)
    : "";
  if (!/^[1-9]\d{0,18}$/.test(text)) return undefined;
  const id = BigInt(text);
  return id < 2n ** 63n ? id : undefined;
}
