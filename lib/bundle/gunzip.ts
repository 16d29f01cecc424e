/** A gzip file as a stream of unpacked chunks. */

import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { describeError, OngridError } from "../cli/errors.ts";
import { extractError } from "./tar_header.ts";

/** Bytes of a chunk: system calls cost nothing then, and a few of them fit into memory. */
export const CHUNK_BYTES = 1024 * 1024;

/** What {@link gunzip} and {@link readChunks} need to know. */
export interface ChunkOptions {
  /** The file's path, for the message when it cannot be read. */
  readonly path: string;
  readonly signal?: AbortSignal | undefined;
  /** Called with every packed chunk, in order. */
  onChunk(chunk: Uint8Array): void;
}

/**
 * A file's content from where it stands to its end. The file stays open.
 *
 * @throws {OngridError} It cannot be read.
 * @throws The signal's reason.
 */
export async function* readChunks(
  file: Deno.FsFile,
  { path, signal, onChunk }: ChunkOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  for (;;) {
    signal?.throwIfAborted();
    // A new one each time: whoever gets a chunk may still be using it when the next one is read.
    const buffer = new Uint8Array(CHUNK_BYTES);
    const count = await file.read(buffer).catch((cause) => {
      throw new OngridError(`Cannot read ${path}`, { cause });
    });
    if (count === null) return;
    const chunk = buffer.subarray(0, count);
    onChunk(chunk);
    yield chunk;
  }
}

/**
 * Unpacks a gzip file of one or several members, as `gzip` and existing agents do
 * (`DecompressionStream` refuses a second member). Only as much is unpacked as is asked for, so a
 * reader that stops at a limit stops a bomb. Zeros after the last member are skipped, anything else
 * there is refused.
 *
 * @throws {InvalidBundleError} `extract: …`: not gzip, damaged or truncated.
 */
export async function* gunzip(
  file: Deno.FsFile,
  options: ChunkOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const unpacked = createGunzip({ chunkSize: CHUNK_BYTES });
  const packed = Readable.from(readChunks(file, options), { objectMode: true, highWaterMark: 1 });
  // Errors of either end are thrown where the chunks are taken, below.
  const ended = new Promise<void>((resolve) => pipeline(packed, unpacked, () => resolve()));
  try {
    for await (const chunk of unpacked) yield chunk;
  } catch (cause) {
    throw isZlibError(cause)
      ? extractError(`not a complete gzip file, ${describeError(cause).message}`)
      : cause;
  } finally {
    unpacked.destroy();
    await ended;
  }
}

function isZlibError(e: unknown): boolean {
  return e instanceof Error && !(e instanceof OngridError) && "code" in e &&
    typeof e.code === "string" && e.code.startsWith("Z_");
}
