/** Conditional and partial requests for files, RFC 9110 sections 13 and 14. */

/** What identifies the bytes that a file has now. */
export interface FileVersion {
  size: number;
  /** Modification time, ms since the epoch. */
  modifiedAt: number;
}

/** Which part of the file to send. */
export type RangeAnswer =
  | { kind: "whole" }
  | { kind: "part"; start: number; end: number }
  | { kind: "unsatisfiable" };

/** A strong validator: a file that is replaced gets another size or time. */
export function entityTag({ size, modifiedAt }: FileVersion): string {
  return `"${size.toString(16)}-${Math.floor(modifiedAt).toString(16)}"`;
}

/** Whether the client has these bytes already (`If-None-Match`). */
export function isKnown(headers: Headers, tag: string): boolean {
  const known = headers.get("if-none-match");
  if (known === null) return false;
  return known.split(",").some((entry) => {
    const candidate = entry.trim();
    return candidate === "*" || candidate.replace(/^W\//, "") === tag;
  });
}

/**
 * What `Range` and `If-Range` ask for. Anything but one byte range is answered with the whole
 * file, as the RFC allows; so is a range of a file that has changed in between.
 */
export function requestedRange(headers: Headers, file: FileVersion): RangeAnswer {
  const header = headers.get("range");
  if (header === null || !ifRangeHolds(headers, file)) return { kind: "whole" };
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header.trim()) ?? [];
  if (first === "" && last === "") return { kind: "whole" };
  if (first === "") return lastBytes(Number(last), file.size);
  const start = Number(first);
  const end = last === "" ? file.size - 1 : Math.min(Number(last), file.size - 1);
  if (last !== "" && Number(last) < start) return { kind: "whole" };
  return start >= file.size ? { kind: "unsatisfiable" } : { kind: "part", start, end };
}

function lastBytes(count: number, size: number): RangeAnswer {
  if (count === 0 || size === 0) return { kind: "unsatisfiable" };
  return { kind: "part", start: Math.max(0, size - count), end: size - 1 };
}

function ifRangeHolds(headers: Headers, file: FileVersion): boolean {
  const condition = headers.get("if-range")?.trim();
  if (condition === undefined) return true;
  if (condition.startsWith('"')) return condition === entityTag(file);
  // A date must match to the second; a weak tag must never be used for a range.
  const seconds = Math.floor(file.modifiedAt / 1000);
  return Date.parse(condition) === seconds * 1000;
}
