/** Files packed into a tar.gz whose bytes depend on nothing but names, modes and contents. */

import { TarStream, type TarStreamInput } from "@std/tar";
import { createHash } from "node:crypto";
import { pipeline, Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { ByteSource } from "./byte_source.ts";
import { CHUNK_BYTES } from "./gunzip.ts";

/** One file of an archive. */
export interface PackedFile {
  readonly name: string;
  readonly mode: number;
  /** Bytes that {@link open} gives. */
  readonly size: number;
  /** The content, asked for once, when its turn has come. */
  readonly open: () => AsyncIterable<Uint8Array>;
}

/** How {@link pack} packs. */
export interface PackOptions {
  readonly files: readonly PackedFile[];
  /** The time of every file, in seconds since 1970. */
  readonly mtime: number;
  /** 1 (fast) to 9 (small). */
  readonly gzipLevel: number;
  /** Where the archive goes; not closed. */
  readonly output: Deno.FsFile;
  readonly maxBytes: number;
}

/** Index of the byte of a gzip header that names the writer's system (RFC 1952, 2.3.1). */
const GZIP_OS_INDEX = 9;

/** "Unix", which zlib writes on Linux; elsewhere it writes something else. */
const GZIP_OS_UNIX = 3;

/**
 * Writes a tar.gz in the order of `files`: USTAR, owner 0:0, no names of users, one time for all,
 * one gzip member without name and time.
 *
 * @returns Size and lower-case hex SHA-256 of what was written.
 * @throws {RangeError} A file has not the size that was announced, or the whole exceeds `maxBytes`.
 */
export async function pack(options: PackOptions): Promise<{ bytes: number; sha256: string }> {
  const { files, mtime, gzipLevel, output, maxBytes } = options;
  const hash = createHash("sha256");
  const packed = createGzip({ level: gzipLevel, chunkSize: CHUNK_BYTES });
  const archive = Readable.from(tar(files, mtime), { objectMode: true, highWaterMark: 1 });
  // Errors of either end are thrown where the chunks are taken, below.
  const ended = new Promise<void>((resolve) => pipeline(archive, packed, () => resolve()));
  let bytes = 0;
  try {
    for await (const chunk of packed) {
      const at = GZIP_OS_INDEX - bytes;
      if (at >= 0 && at < chunk.length) chunk[at] = GZIP_OS_UNIX;
      bytes += chunk.length;
      if (bytes > maxBytes) throw new RangeError(`the archive exceeds ${maxBytes} bytes`);
      hash.update(chunk);
      for (let done = 0; done < chunk.length;) done += await output.write(chunk.subarray(done));
    }
  } finally {
    packed.destroy();
    await ended;
  }
  return { bytes, sha256: hash.digest("hex") };
}

async function* tar(
  files: readonly PackedFile[],
  mtime: number,
): AsyncGenerator<Uint8Array, void, void> {
  const inputs = files.map(({ name, mode, size, open }): TarStreamInput => ({
    type: "file",
    path: name,
    size,
    readable: ReadableStream.from(open()),
    options: { mode, uid: 0, gid: 0, mtime, uname: "", gname: "", devmajor: "", devminor: "" },
  }));
  yield* evenChunks(largeChunks(ReadableStream.from(inputs).pipeThrough(new TarStream())));
}

/**
 * The same bytes in chunks of one size. What deflate makes of its input depends on where the input
 * is cut, and streams cut it differently from run to run.
 */
async function* evenChunks(
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array, void, void> {
  const source = new ByteSource(chunks);
  try {
    for (;;) {
      const chunk = await source.block(CHUNK_BYTES);
      if (chunk.length > 0) yield chunk;
      if (chunk.length < CHUNK_BYTES) return;
    }
  } finally {
    await source.close();
  }
}

/**
 * The stream's content in chunks as large as it can give: a byte stream is asked to fill a large
 * buffer, since by itself `TarStream` gives 512 bytes at a time.
 */
async function* largeChunks(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const reader = byobReader(stream);
  if (reader === undefined) return yield* stream;
  try {
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(CHUNK_BYTES));
      if (value !== undefined && value.length > 0) yield value;
      if (done) return;
    }
  } finally {
    await reader.cancel();
  }
}

/** `undefined` when it is not a byte stream, which asking is the only way to find out. */
function byobReader(stream: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return stream.getReader({ mode: "byob" });
  } catch (e) {
    if (e instanceof TypeError) return undefined;
    throw e;
  }
}
