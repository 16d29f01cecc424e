/**
 * Tar archives byte by byte, valid or not: what no proper tar program would write. Independent of
 * the code under test.
 */

import { gzipSync } from "node:zlib";

/** Overrides of a header's fields; what is not given is that of a plain USTAR file. */
export interface RawHeader {
  name?: string | Uint8Array;
  /** Octal text, or the field's 12 bytes as they are. */
  size?: number | string | Uint8Array;
  type?: string;
  linkname?: string;
  /** 8 bytes of magic and version. */
  magic?: string;
  prefix?: string;
  mode?: string;
  /** Added to the right checksum. */
  checksumError?: number;
  /** Written into the checksum field as it is. */
  checksumText?: string;
}

const encoder = new TextEncoder();

/** The bytes of `text`, one for each character up to U+00FF. */
export function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** Several pieces in a row. */
export function concat(...pieces: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** One header block. */
export function header(fields: RawHeader): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(512);
  const { name = "file", size = 0, type = "0", magic = "ustar\x0000", mode = "0000644" } = fields;
  block.set((typeof name === "string" ? encoder.encode(name) : name).subarray(0, 100), 0);
  block.set(latin1(`${mode}\0`), 100);
  block.set(latin1("0000000\0"), 108);
  block.set(latin1("0000000\0"), 116);
  block.set(sizeField(size), 124);
  block.set(latin1("00000000000\0"), 136);
  block.set(latin1("        "), 148);
  block.set(latin1(type), 156);
  block.set(encoder.encode(fields.linkname ?? ""), 157);
  block.set(latin1(magic), 257);
  block.set(encoder.encode(fields.prefix ?? ""), 345);
  const sum = block.reduce((a, b) => a + b, 0) + (fields.checksumError ?? 0);
  const text = fields.checksumText ?? `${sum.toString(8).padStart(6, "0")}\0 `;
  block.set(latin1(text), 148);
  return block;
}

function sizeField(size: number | string | Uint8Array): Uint8Array {
  if (size instanceof Uint8Array) return size;
  return latin1(typeof size === "string" ? size : `${size.toString(8).padStart(11, "0")}\0`);
}

/** `content` filled up to whole blocks. */
export function padded(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(content, new Uint8Array((512 - (content.length % 512)) % 512));
}

/** A header and its content. */
export function entry(
  fields: RawHeader,
  content: string | Uint8Array = "",
): Uint8Array<ArrayBuffer> {
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  return concat(header({ size: bytes.length, ...fields }), padded(bytes));
}

/** A PAX header of the records given, for the next entry (`x`) or all (`g`). */
export function pax(
  records: Record<string, string>,
  type: "x" | "g" = "x",
): Uint8Array<ArrayBuffer> {
  const text = Object.entries(records).map(([key, value]) => paxRecord(key, value));
  return entry({ name: "PaxHeaders/file", type }, concat(...text));
}

/** One record with the right length. */
export function paxRecord(key: string, value: string): Uint8Array<ArrayBuffer> {
  const body = encoder.encode(` ${key}=${value}\n`);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length++;
  return concat(latin1(String(length)), body);
}

/** A GNU long name for the next entry. */
export function gnuName(name: string): Uint8Array<ArrayBuffer> {
  return entry({ name: "././@LongLink", type: "L", magic: "ustar  \0" }, `${name}\0`);
}

/** The two zero blocks at the end. */
export const END = new Uint8Array(1024);

/** A gzip member. */
export function gzip(bytes: Uint8Array, level = 1): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gzipSync(bytes, { level }));
}
