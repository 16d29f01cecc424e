/** JSON bodies of the tunnel. Ids are 64-bit numbers there, more than a JavaScript number holds. */

import { OngridError } from "../../cli/errors.ts";

/**
 * Largest body that is parsed, in bytes: many times what any is. A tunnel packet of 10 MiB, nested
 * deeply, would keep the parser busy for longer than a stop of the service may take.
 */
const MAX_BODY_BYTES = 256 * 1024;

/** What `JSON` offers beside the declared types: the source text of a number, and its reverse. */
interface SourceJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

const sourceJson = JSON as unknown as SourceJson;
const INTEGER = /^-?[0-9]{1,20}$/;
const MAX_ID = 2n ** 64n - 1n;

/** True for a JSON object, which every body of the tunnel is. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Parses a body into an object; an empty body counts as `{}`. Integers beyond 2^53, up to 20
 * digits, become `bigint`, so that no digit of an id is lost.
 *
 * @param what names the body in the error: `decode fetch_package request`.
 * @throws {OngridError} where it is not UTF-8, not JSON, or not an object.
 */
export function parseBody(bytes: Uint8Array, what: string): Record<string, unknown> {
  if (bytes.length === 0) return {};
  if (bytes.length > MAX_BODY_BYTES) throw new OngridError(`${what}: body too large`);
  let value: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = sourceJson.parse(text, keepDigits);
  } catch (error) {
    throw new OngridError(what, { cause: error });
  }
  if (!isObject(value)) throw new OngridError(`${what}: not a JSON object`);
  return value;
}

function keepDigits(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context.source ?? "";
  return INTEGER.test(source) ? BigInt(source) : value;
}

/** Encodes a body, fields in the order given; a `bigint` is written as its digits. */
export function encodeBody(value: Record<string, unknown>): Uint8Array {
  const text = JSON.stringify(
    value,
    (_key, field) => typeof field === "bigint" ? sourceJson.rawJSON(String(field)) : field,
  );
  return new TextEncoder().encode(text);
}

/** An id out of a parsed body; undefined where it is not a whole number of 64 bits, from 0 up. */
export function idOf(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value >= 0n && value <= MAX_ID ? value : undefined;
  return Number.isSafeInteger(value) && Number(value) >= 0 ? BigInt(Number(value)) : undefined;
}
