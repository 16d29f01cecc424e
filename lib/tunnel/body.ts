import { ProtocolError } from "../cli/errors.ts";
import type { ConnBody, DataBody, RegisterBody, SessionBody } from "./packet.ts";

/** How the existing peers write a time that is not set. */
const ZERO_TIME = "0001-01-01T00:00:00Z";

/** RFC 3339 with an optional fraction; more digits than any peer writes are not a time. */
const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,18})?(Z|[+-]\d\d:\d\d)$/;

const encoder = new TextEncoder();
// A byte order mark is not JSON to the existing peers, so it must not be swallowed here.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The JSON of a connection packet, fields in the order that existing peers write. */
export function encodeConnBody(body: ConnBody): Uint8Array {
  return object([bytesMember("meta", body.meta), textMember("error", body.error)]);
}

/** The JSON of a session packet. */
export function encodeSessionBody(body: SessionBody): Uint8Array {
  return object([
    bytesMember("meta", body.meta),
    textMember("error", body.error),
    textMember("peer", body.peer),
  ]);
}

/** The JSON of the answer to a registration. */
export function encodeRegisterBody(body: RegisterBody): Uint8Array {
  return object([textMember("error", body.error)]);
}

/** The JSON of messages, requests and responses; both deadlines are always written. */
export function encodeDataBody(body: DataBody): Uint8Array {
  return object([
    bytesMember("key", body.key),
    bytesMember("value", body.value),
    textMember("topic", body.topic),
    bytesMember("custom", body.custom),
    textMember("error", body.error),
    body.timeout === undefined || body.timeout === 0 ? "" : `"timeout":${body.timeout}`,
    `"deadline":${quote(body.deadline ?? ZERO_TIME)}`,
    `"context":{"deadline":${quote(body.contextDeadline ?? ZERO_TIME)}}`,
  ]);
}

/** Throws a {@linkcode ProtocolError} on anything that the existing peers reject. */
export function decodeConnBody(json: Uint8Array): ConnBody {
  const fields = parse(json);
  const body: ConnBody = {};
  put(body, "meta", bytesField(fields, "meta"));
  put(body, "error", textField(fields, "error"));
  return body;
}

/** Throws a {@linkcode ProtocolError} on anything that the existing peers reject. */
export function decodeSessionBody(json: Uint8Array): SessionBody {
  const fields = parse(json);
  const body: SessionBody = {};
  put(body, "meta", bytesField(fields, "meta"));
  put(body, "error", textField(fields, "error"));
  put(body, "peer", textField(fields, "peer"));
  return body;
}

/** Throws a {@linkcode ProtocolError} on anything that the existing peers reject. */
export function decodeRegisterBody(json: Uint8Array): RegisterBody {
  const body: RegisterBody = {};
  put(body, "error", textField(parse(json), "error"));
  return body;
}

/** Throws a {@linkcode ProtocolError} on anything that the existing peers reject. */
export function decodeDataBody(json: Uint8Array): DataBody {
  const fields = parse(json);
  const body: DataBody = {};
  put(body, "key", bytesField(fields, "key"));
  put(body, "value", bytesField(fields, "value"));
  put(body, "topic", textField(fields, "topic"));
  put(body, "custom", bytesField(fields, "custom"));
  put(body, "error", textField(fields, "error"));
  put(body, "timeout", integerField(fields, "timeout"));
  put(body, "deadline", timeField(fields, "deadline"));
  put(body, "contextDeadline", timeField(asObject(fields["context"], "context"), "deadline"));
  return body;
}

/** Milliseconds since 1970 of a deadline in a {@linkcode DataBody}; NaN when it is no time. */
export function deadlineMs(text: string): number {
  const [, second, fraction = "", zone] = RFC3339.exec(text) ?? [];
  return second === undefined ? NaN : Date.parse(`${second}${fraction.slice(0, 4)}${zone}`);
}

/** A deadline for a {@linkcode DataBody} from milliseconds since 1970. */
export function deadlineText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0+Z$/, "Z");
}

function object(members: string[]): Uint8Array {
  return encoder.encode(`{${members.filter((member) => member !== "").join(",")}}`);
}

function bytesMember(name: string, value: Uint8Array | undefined): string {
  return value === undefined || value.length === 0 ? "" : `"${name}":"${value.toBase64()}"`;
}

function textMember(name: string, value: string | undefined): string {
  return value === undefined || value === "" ? "" : `"${name}":${quote(value)}`;
}

/** The existing peers also escape what could end a script element. */
function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

type Fields = Record<string, unknown>;

function parse(json: Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(json));
  } catch (cause) {
    throw new ProtocolError("Cannot read a packet: its body is not JSON", {
      kind: "protocol",
      cause,
    });
  }
  return asObject(value, "body");
}

function asObject(value: unknown, name: string): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw wrongType(name, "an object");
  return value as Fields;
}

function textField(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") throw wrongType(name, "a string");
  return value;
}

function bytesField(fields: Fields, name: string): Uint8Array | undefined {
  const text = textField(fields, name);
  if (text === undefined) return undefined;
  try {
    const bytes = Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
    // White space, which the decoder skips, is what makes a text longer than its bytes.
    if (Math.ceil(bytes.length / 3) * 4 === text.length) return bytes;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw wrongType(name, "standard base64 with padding");
}

function integerField(fields: Fields, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null || value === 0) return undefined;
  if (!Number.isSafeInteger(value)) throw wrongType(name, "an integer");
  return value as number;
}

function timeField(fields: Fields, name: string): string | undefined {
  const text = fields[name];
  if (text === undefined || text === null) return undefined;
  if (typeof text !== "string" || Number.isNaN(deadlineMs(text))) {
    throw wrongType(name, "an RFC 3339 time");
  }
  return text === ZERO_TIME ? undefined : text;
}

function wrongType(name: string, wanted: string): ProtocolError {
  return new ProtocolError(`Cannot read a packet: its ${name} is not ${wanted}`, {
    kind: "protocol",
  });
}

/** Absent fields stay absent, so that a decoded body compares equal to the one encoded. */
function put<T, K extends keyof T>(body: T, name: K, value: T[K] | undefined): void {
  if (value !== undefined) body[name] = value;
}
