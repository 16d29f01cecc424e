/** The records of a PAX extended header (POSIX.1-2017 `pax`, "pax Extended Header"). */

import { decodeName, extractError } from "./tar_header.ts";

/** Bytes of one extended header; a name and a few times are below one KiB. */
export const MAX_PAX_BYTES = 64 * 1024;

/** What is used of the records; times, owners and comments are not. */
export interface PaxRecords {
  readonly path?: string;
  readonly size?: number;
}

/**
 * Parses `"<length> <key>=<value>\n"` records.
 *
 * @throws {InvalidBundleError} Malformed or truncated records, a key of interest twice or with a
 * value that it cannot have, or records that make the entry a sparse file.
 */
export function parsePax(bytes: Uint8Array): PaxRecords {
  const records: { path?: string; size?: number } = {};
  for (let at = 0; at < bytes.length;) {
    const { key, value, next } = readRecord(bytes, at);
    at = next;
    if (key.startsWith("GNU.sparse.")) {
      throw extractError("disallowed tar entry type, sparse file", key);
    }
    if (key === "path") {
      if (records.path !== undefined) throw extractError("PAX path given twice");
      records.path = paxPath(value);
    } else if (key === "size") {
      if (records.size !== undefined) throw extractError("PAX size given twice");
      records.size = paxSize(value);
    }
  }
  return records;
}

/** A record's length counts itself, so it is found by its digits alone. */
function readRecord(
  bytes: Uint8Array,
  at: number,
): { key: string; value: Uint8Array; next: number } {
  const space = bytes.indexOf(0x20, at);
  const digits = space < 0 ? "" : ascii(bytes.subarray(at, Math.min(space, at + 8)));
  const next = at + (/^[1-9][0-9]{0,6}$/.test(digits) ? Number(digits) : Infinity);
  if (next > bytes.length || bytes[next - 1] !== 0x0a) throw extractError("malformed PAX record");
  const equals = bytes.indexOf(0x3d, space);
  if (equals < 0 || equals >= next - 1 || equals === space + 1) {
    throw extractError("malformed PAX record");
  }
  const key = ascii(bytes.subarray(space + 1, equals));
  return { key, value: bytes.subarray(equals + 1, next - 1), next };
}

function paxPath(value: Uint8Array): string {
  if (value.length === 0) throw extractError("PAX path is empty");
  return decodeName(value);
}

function paxSize(value: Uint8Array): number {
  const digits = ascii(value);
  const size = /^[0-9]{1,16}$/.test(digits) ? Number(digits) : NaN;
  if (!Number.isSafeInteger(size)) throw extractError("malformed PAX size", digits);
  return size;
}

function ascii(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
