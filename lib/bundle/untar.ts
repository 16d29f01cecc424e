/**
 * A strict, bounded reader of tar archives from strangers.
 *
 * It reads what GNU tar and Go write (USTAR, PAX, GNU long names, `./` in front) and nothing that
 * two readers could understand differently. `@std/tar`'s `UntarStream` knows neither PAX nor GNU
 * names and hands over 512 bytes at a time; `tar-stream` bounds neither extension headers nor what
 * follows the end, and reads on after the first zero block.
 */

import { ByteSource } from "./byte_source.ts";
import { MAX_PAX_BYTES, parsePax, type PaxRecords } from "./pax.ts";
import { bundlePathProblem, MAX_PATH_BYTES } from "./paths.ts";
import {
  decodeName,
  extractError,
  isZeroBlock,
  parseTarHeader,
  TAR_BLOCK_BYTES,
  type TarHeader,
} from "./tar_header.ts";

/** Bytes of zeros after the end of an archive; tar pads to its record size, 10 KiB as a rule. */
export const MAX_PADDING_BYTES = 1024 * 1024;

/** Bytes of all extension headers together: names for {@link TarLimits.maxEntries} entries. */
const MAX_EXTENSION_BYTES = 32 * 1024 * 1024;

/** How much of an archive is accepted. */
export interface TarLimits {
  /** Files and directories. */
  readonly maxEntries: number;
  /** Bytes of all files together. */
  readonly maxBytes: number;
}

/** A file or directory of an archive. */
export interface TarEntry {
  readonly kind: "file" | "directory";
  /** Plain relative path without `./` in front or a slash at the end; `""` is the root itself. */
  readonly path: string;
  /** Bytes of the file; 0 for a directory. */
  readonly size: number;
  /** The file's content, to be read before the next entry is asked for; the rest is skipped. */
  content(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;
}

/** Counts what {@link TarLimits} and the constants above bound. */
interface Tally {
  entries: number;
  bytes: number;
  extensionBytes: number;
}

/**
 * The entries of an archive in their order, up to and including its two zero blocks and the padding
 * after them.
 *
 * @throws {InvalidBundleError} `extract: …`: anything but files and directories with plain relative
 * paths, malformed, truncated or ambiguous headers, more than the limits.
 */
export async function* readTar(
  source: ByteSource,
  limits: TarLimits,
): AsyncGenerator<TarEntry, void, void> {
  const tally: Tally = { entries: 0, bytes: 0, extensionBytes: 0 };
  for (;;) {
    const header = await nextEntryHeader(source, tally, limits);
    if (header === undefined) return;
    count(header, tally, limits);
    const body = new Body(source, header.size);
    yield {
      kind: header.kind === "directory" ? "directory" : "file",
      path: entryPath(header),
      size: header.size,
      content: () => body.chunks(),
    };
    await body.skip();
  }
}

/** The next header that names a file or directory, with the extensions before it applied. */
async function nextEntryHeader(
  source: ByteSource,
  tally: Tally,
  limits: TarLimits,
): Promise<TarHeader | undefined> {
  let pending: PaxRecords | undefined;
  for (;;) {
    const block = await nextBlock(source);
    if (isZeroBlock(block)) {
      if (pending !== undefined) throw extractError("extension header without an entry");
      await readEnd(source);
      return undefined;
    }
    const header = parseTarHeader(block);
    if (header.kind === "file" || header.kind === "directory") {
      return pending === undefined ? header : extended(header, pending);
    }
    if (header.kind === "pax-global") {
      await readGlobal(source, header, tally);
      continue;
    }
    // Two of them for one entry would leave it to the reader which counts.
    if (pending !== undefined) throw extractError("two extension headers for one entry");
    if (tally.entries >= limits.maxEntries) throw tooManyEntries(limits);
    pending = await readExtension(source, header, tally);
  }
}

async function readExtension(
  source: ByteSource,
  header: TarHeader,
  tally: Tally,
): Promise<PaxRecords> {
  if (header.kind === "pax") return parsePax(await extensionBytes(source, header, tally));
  const bytes = await extensionBytes(source, header, tally);
  const end = bytes.indexOf(0);
  const name = decodeName(end < 0 ? bytes : bytes.subarray(0, end));
  if (name === "" || (end >= 0 && !isZeroBlock(bytes.subarray(end)))) {
    throw extractError("disallowed tar path, malformed long name", name);
  }
  return { path: name };
}

/** Global records are comments (as `git archive` writes); one name or size for all is a trick. */
async function readGlobal(source: ByteSource, header: TarHeader, tally: Tally): Promise<void> {
  const { path, size } = parsePax(await extensionBytes(source, header, tally));
  if (path !== undefined || size !== undefined) {
    throw extractError("global PAX header with a path or size");
  }
}

async function extensionBytes(
  source: ByteSource,
  { kind, size }: TarHeader,
  tally: Tally,
): Promise<Uint8Array> {
  const max = kind === "gnu-name" ? MAX_PATH_BYTES + 1 : MAX_PAX_BYTES;
  if (size === 0 || size > max) throw extractError(`extension header of ${size} bytes`);
  tally.extensionBytes += TAR_BLOCK_BYTES + paddedSize(size);
  if (tally.extensionBytes > MAX_EXTENSION_BYTES) throw extractError("too many extension headers");
  const bytes = await source.block(paddedSize(size));
  if (bytes.length < paddedSize(size)) throw truncated();
  return bytes.subarray(0, size);
}

/** A size that the header itself gives differently is two sizes, and readers would choose. */
function extended(header: TarHeader, { path, size }: PaxRecords): TarHeader {
  if (size !== undefined && size !== header.size && (header.size !== 0 || isDirectory(header))) {
    throw extractError("PAX size differs from the header's", path);
  }
  const name = path === undefined ? header.name : () => path;
  return { kind: header.kind, name, size: size ?? header.size };
}

function isDirectory({ kind }: TarHeader): boolean {
  return kind === "directory";
}

function entryPath(header: TarHeader): string {
  const name = header.name();
  let path = name.replace(/^(\.\/)+/, "");
  if (isDirectory(header)) {
    if (name.startsWith("./") && path === "" || path === "." || path === "./") return "";
    path = path.replace(/(?<=[^/])\/$/, "");
  }
  const problem = bundlePathProblem(path);
  if (problem !== undefined) throw extractError(`disallowed tar path, ${problem}`, name);
  return path;
}

function count(header: TarHeader, tally: Tally, limits: TarLimits): void {
  if (++tally.entries > limits.maxEntries) throw tooManyEntries(limits);
  tally.bytes += header.size;
  if (tally.bytes > limits.maxBytes) {
    throw extractError(`bundle too large, more than ${limits.maxBytes} bytes unpacked`);
  }
}

function tooManyEntries({ maxEntries }: TarLimits): Error {
  return extractError(`more than ${maxEntries} tar entries`);
}

function truncated(): Error {
  return extractError("truncated tar archive");
}

async function nextBlock(source: ByteSource): Promise<Uint8Array> {
  const block = await source.block(TAR_BLOCK_BYTES);
  if (block.length < TAR_BLOCK_BYTES) throw truncated();
  return block;
}

/** The second zero block, and zeros until the stream ends. */
async function readEnd(source: ByteSource): Promise<void> {
  if (!isZeroBlock(await nextBlock(source))) throw extractError("lone zero block in the archive");
  let padding = 0;
  for (;;) {
    const piece = await source.some(MAX_PADDING_BYTES);
    if (piece === undefined) return;
    padding += piece.length;
    if (padding > MAX_PADDING_BYTES || !isZeroBlock(piece)) {
      throw extractError("data after the end of the archive");
    }
  }
}

function paddedSize(size: number): number {
  return Math.ceil(size / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
}

/** The content of one entry and the padding to the next block. */
class Body {
  readonly #source: ByteSource;
  #left: number;
  #padding: number;

  constructor(source: ByteSource, size: number) {
    this.#source = source;
    this.#left = size;
    this.#padding = paddedSize(size) - size;
  }

  async *chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    while (this.#left > 0) {
      const piece = await this.#source.some(this.#left);
      if (piece === undefined) throw truncated();
      this.#left -= piece.length;
      yield piece;
    }
  }

  async skip(): Promise<void> {
    for await (const _ of this.chunks());
    if (this.#padding === 0) return;
    const padding = await this.#source.block(this.#padding);
    if (padding.length < this.#padding) throw truncated();
  }
}
