/**
 * One 512-byte block of a tar archive, read strictly (POSIX.1-2017 `pax`, "ustar Interchange
 * Format"; GNU tar manual, "Basic Tar Format").
 */

import { InvalidBundleError } from "../cli/errors.ts";
import { quote } from "./text.ts";

/** Bytes of a block: headers are one, contents are padded to a multiple of it. */
export const TAR_BLOCK_BYTES = 512;

/** What a header introduces; everything else that tar knows is refused. */
export type TarHeaderKind = "file" | "directory" | "pax" | "pax-global" | "gnu-name";

/** What is used of a header. Mode, owner and times are not: the manifest decides. */
export interface TarHeader {
  readonly kind: TarHeaderKind;
  /**
   * The name as it is written, with the USTAR prefix. A function, since it may throw: where an
   * extension header names the entry, what stands here is often a name cut inside a letter.
   */
  readonly name: () => string;
  /** Bytes of content that follow. */
  readonly size: number;
}

const KINDS: ReadonlyMap<string, TarHeaderKind> = new Map([
  ["0", "file"],
  ["\0", "file"],
  ["5", "directory"],
  ["x", "pax"],
  ["g", "pax-global"],
  ["L", "gnu-name"],
]);

/** How people know the types that are refused. */
const REFUSED_KINDS: ReadonlyMap<string, string> = new Map([
  ["1", "hard link"],
  ["2", "symbolic link"],
  ["3", "character device"],
  ["4", "block device"],
  ["6", "FIFO"],
  ["7", "contiguous file"],
  ["K", "long link name"],
  ["S", "sparse file"],
  ["V", "volume label"],
  ["M", "continued volume"],
  ["D", "dump directory"],
]);

/** The error for anything wrong with an archive, in the words that existing agents use. */
export function extractError(what: string, value?: string): InvalidBundleError {
  return new InvalidBundleError(
    `extract: ${what}${value === undefined ? "" : ` (${quote(value)})`}`,
  );
}

/** Whether a block is all zeros, as the two at the end of an archive are. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/**
 * Reads a header block.
 *
 * @throws {InvalidBundleError} Wrong checksum, unknown format, malformed field, or a type other
 * than files, directories and the extension headers that name them.
 */
export function parseTarHeader(block: Uint8Array): TarHeader {
  checkSum(block);
  const format = formatOf(block);
  const type = String.fromCharCode(block[156] ?? 0);
  const shown = latin1(block.subarray(0, 100)).replace(/\0.*$/s, "");
  const known = KINDS.get(type);
  if (known === undefined) {
    const refused = REFUSED_KINDS.get(type) ?? `type ${quote(type)}`;
    throw extractError(`disallowed tar entry type, ${refused}`, shown);
  }
  // Before POSIX a slash at the end of the name was all that made a directory.
  const kind = type === "\0" && shown.endsWith("/") ? "directory" : known;
  const size = readSize(block.subarray(124, 136), shown);
  // Readers disagree whether content follows a directory that claims a size; so none may.
  if (kind === "directory" && size !== 0) throw extractError("directory with content", shown);
  return { kind, name: () => fullName(block, format), size };
}

type TarFormat = "ustar" | "gnu" | "v7";

function formatOf(block: Uint8Array): TarFormat {
  const magic = latin1(block.subarray(257, 265));
  if (magic === "ustar\x0000") return "ustar";
  if (magic === "ustar  \0") return "gnu";
  if (magic === "\0".repeat(8)) return "v7";
  throw extractError("unknown tar format", magic);
}

/** The sum of all bytes, those of the checksum itself taken as spaces. */
function checkSum(block: Uint8Array): void {
  let sum = 0;
  for (let i = 0; i < TAR_BLOCK_BYTES; i++) {
    sum += i >= 148 && i < 156 ? 0x20 : block[i] ?? 0;
  }
  const written = octal(block.subarray(148, 156));
  if (written !== sum) throw extractError("tar header with a wrong checksum");
}

function fullName(block: Uint8Array, format: TarFormat): string {
  const name = terminatedText(block.subarray(0, 100));
  // Only POSIX has a prefix; GNU keeps times and sparse maps there.
  const prefix = format === "ustar" ? terminatedText(block.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Text up to the first NUL. Anything but NULs after it is a name that readers see differently. */
function terminatedText(field: Uint8Array): string {
  const end = field.indexOf(0);
  if (end < 0) return decodeName(field);
  if (!isZeroBlock(field.subarray(end))) {
    throw extractError("disallowed tar path, NUL in the name", latin1(field));
  }
  return decodeName(field.subarray(0, end));
}

/**
 * A name as UTF-8.
 *
 * @throws {InvalidBundleError} Other bytes: the manifest is UTF-8 and could never name them.
 */
export function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidBundleError(
      `extract: disallowed tar path, not UTF-8 (${quote(latin1(bytes))})`,
      { cause },
    );
  }
}

/** Octal digits, or GNU's base-256 number when the top bit is set. */
function readSize(field: Uint8Array, name: string): number {
  const first = field[0] ?? 0;
  const size = (first & 0x80) === 0 ? octal(field) : base256(field);
  if (size === undefined) throw extractError("malformed size in a tar header", name);
  return size;
}

function octal(field: Uint8Array): number | undefined {
  const digits = /^ *([0-7]{1,12})[ \0]*$/.exec(latin1(field))?.[1];
  return digits === undefined ? undefined : parseInt(digits, 8);
}

/** `undefined` when negative or above 2^53, where numbers are no longer exact. */
function base256(field: Uint8Array): number | undefined {
  if (field[0] !== 0x80) return undefined;
  let value = 0;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return Number.isSafeInteger(value) ? value : undefined;
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
