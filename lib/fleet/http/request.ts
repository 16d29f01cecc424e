/** Reading requests: bodies, ids, pages, and who is calling. */

import { ApiError, invalid } from "../api_error.ts";
import type { UserRecord } from "../records.ts";
import type { Slice } from "../store.ts";
import { isObject, type JsonObject, parseId, parseJson } from "../values.ts";

/** The largest request body, in bytes; a list of 5,000 edge ids fits. */
export const MAX_BODY_BYTES = 64 * 1024;

/** A request on its way to a handler. */
export interface Call {
  readonly request: Request;
  readonly url: URL;
  /** The parts of the path that the route's pattern names. */
  readonly params: Readonly<Record<string, string>>;
  /** Who calls; undefined on open routes. */
  readonly user: UserRecord | undefined;
  /** Where the request comes from, for counting logins. */
  readonly address: string;
}

/**
 * The JSON object in the body; an empty body is an empty object.
 *
 * @throws {ApiError} `too-large`, or `invalid` when it is something else.
 */
export async function readBody(request: Request): Promise<JsonObject> {
  const text = new TextDecoder().decode(await readBounded(request));
  if (text.trim() === "") return {};
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (e) {
    // The parser's message quotes the body, which may hold a password.
    if (e instanceof SyntaxError) throw invalid("the body is not valid JSON");
    throw e;
  }
  if (!isObject(value)) throw invalid("the body is not a JSON object");
  return value;
}

/** A text field of a body; empty when it is absent. */
export function bodyText(body: JsonObject, key: string): string {
  const value = body[key];
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw invalid(`${key} must be a string`);
  return value;
}

/** A yes-or-no field of a body; false when it is absent. */
export function bodyFlag(body: JsonObject, key: string): boolean {
  const value = body[key] ?? false;
  if (typeof value !== "boolean") throw invalid(`${key} must be true or false`);
  return value;
}

/** A whole number in a body within bounds, or `fallback` when it is absent. */
export function bodyInteger(
  body: JsonObject,
  key: string,
  { min, max, fallback }: { min: number; max: number; fallback: number },
): number {
  const value = body[key] ?? fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw invalid(`${key} must be a whole number from ${min} to ${max}`);
}

/** A list of ids in a body, in order and without repetitions; 1 to `max` of them. */
export function bodyIds(body: JsonObject, key: string, max: number): bigint[] {
  const value = body[key];
  if (!Array.isArray(value) || value.length === 0 || value.length > max) {
    throw invalid(`${key} must be a list of 1 to ${max} ids`);
  }
  const ids = value.map((item) => {
    const id = parseId(item);
    if (id === undefined) throw invalid(`${key} holds something that is no id`);
    return id;
  });
  return [...new Set(ids)];
}

/** The id in the path. */
export function pathId(call: Call): bigint {
  const id = parseId(call.params.id ?? "");
  if (id === undefined) throw invalid("the id in the path is no id");
  return id;
}

/** Which part of a list is asked for. */
export interface PageRequest extends Slice {
  page: number;
  pageSize: number;
}

/** The page from `page` and `page_size`, or from `limit` and `offset` as older scripts have it. */
export function pageRequest(url: URL, bounds: { size: number; max: number }): PageRequest {
  const number = (name: string) => queryNumber(url, name);
  const pageSize = Math.min(number("page_size") ?? number("limit") ?? bounds.size, bounds.max);
  const limit = Math.max(1, pageSize);
  const offset = number("offset") ?? (Math.max(1, number("page") ?? 1) - 1) * limit;
  return { page: Math.floor(offset / limit) + 1, pageSize: limit, limit, offset };
}

function queryNumber(url: URL, name: string): number | undefined {
  const text = url.searchParams.get(name);
  if (text === null || text === "") return undefined;
  if (!/^\d{1,9}$/.test(text)) throw invalid(`${name} must be a whole number`);
  return Number(text);
}

async function readBounded(request: Request): Promise<Uint8Array> {
  const tooLarge = () => {
    return new ApiError("too-large", `the body has more than ${MAX_BODY_BYTES} bytes`);
  };
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of untilCut(request.body)) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}

/** The chunks of a body. A client that goes away before its end is no failure of the manager's. */
async function* untilCut(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    throw new ApiError("invalid", "invalid argument: the body ended early", { cause });
  }
}
