import { BLOCK } from "./_blocks.ts";

/** The header of an archive before POSIX, and of one of GNU tar. */
export interface OldStyleFormat {
  /** The path, or its end. */
  name: string;
  /** The permissions. */
  mode: number;
  /** The number of the owner. */
  uid: number;
  /** The number of the group. */
  gid: number;
  /** The size of the content in bytes; `NaN` for one that is not octal. */
  size: number;
  /** When it was modified, in seconds since 1970. */
  mtime: number;
  /** What it is, as one character: `0` a file, `1` and `2` links, `5` a directory. */
  typeflag: string;
  /** What a link points at. */
  linkname: string;
}

/** The header of a POSIX archive (ustar). */
export interface PosixUstarFormat extends OldStyleFormat {
  /** `ustar` and a NUL. */
  magic: string;
  /** `00`. */
  version: string;
  /** The name of the owner. */
  uname: string;
  /** The name of the group. */
  gname: string;
  /** The major number of a device. */
  devmajor: string;
  /** The minor number of a device. */
  devminor: string;
  /** The beginning of the path, that `name` follows after a slash. */
  prefix: string;
}

const MAGIC = "ustar\x0000";
const decoder = new TextDecoder();

/** Reads a header. Throws `SyntaxError` when its checksum is wrong. */
export function readHeader(block: Uint8Array): OldStyleFormat | PosixUstarFormat {
  const raw = (start: number, end: number) => decoder.decode(block.subarray(start, end));
  const text = (start: number, end: number) => raw(start, end).replace(/\0.*$/s, "");
  const octal = (start: number, end: number) => parseInt(raw(start, end), 8);
  if (octal(148, 156) !== checksum(block)) {
    throw new SyntaxError(
      "Cannot extract the tar archive: An archive entry has invalid header checksum",
    );
  }
  const type = raw(156, 157);
  const header: OldStyleFormat = {
    name: text(0, 100),
    mode: octal(100, 108),
    uid: octal(108, 116),
    gid: octal(116, 124),
    size: octal(124, 136),
    mtime: octal(136, 147),
    typeflag: type === "\0" ? "0" : type,
    linkname: text(157, 257),
  };
  if (raw(257, 265) !== MAGIC) return header;
  return {
    ...header,
    magic: raw(257, 263),
    version: raw(263, 265),
    uname: text(265, 297),
    gname: text(297, 329),
    devmajor: raw(329, 337).replaceAll("\0", ""),
    devminor: raw(337, 345).replaceAll("\0", ""),
    prefix: text(345, 500),
  };
}

/** The sum of all bytes of a header, those of the sum itself counted as spaces. */
export function checksum(block: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) {
    sum += i >= 148 && i < 156 ? 32 : block[i] ?? 0;
  }
  return sum;
}
