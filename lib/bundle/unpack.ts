/** An archive unpacked into a new directory, each file hashed while it is written. */

import { createHash } from "node:crypto";
import { OngridError } from "../cli/errors.ts";
import { ByteSource } from "./byte_source.ts";
import { BundleTree } from "./bundle_tree.ts";
import { extractError } from "./tar_header.ts";
import { readTar, type TarEntry, type TarLimits } from "./untar.ts";

/** What {@link unpack} works on. */
export interface UnpackOptions {
  /** The archive, not compressed. */
  readonly archive: AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** An existing, empty directory that nobody else writes to. */
  readonly dir: string;
  readonly limits: TarLimits;
  /** Files whose content is wanted in memory, and how many bytes each may have. */
  readonly keep: ReadonlyMap<string, number>;
  readonly signal?: AbortSignal | undefined;
}

/** What is in the directory now. */
export interface Unpacked {
  readonly tree: BundleTree;
  /** Content of the files that were to be kept and were there. */
  readonly kept: ReadonlyMap<string, Uint8Array>;
}

/**
 * Unpacks an archive. Files get mode 0644 less the umask, whatever the archive says; each is
 * flushed to the disk in the background while the next ones are unpacked.
 *
 * @throws {InvalidBundleError} `extract: …`, as {@link readTar}, or a name given twice.
 * @throws {OngridError} A file or directory cannot be written.
 */
export async function unpack(options: UnpackOptions): Promise<Unpacked> {
  const { dir, limits, keep, signal } = options;
  const source = new ByteSource(options.archive);
  const tree = new BundleTree(limits.maxEntries);
  const kept = new Map<string, Uint8Array>();
  const flusher = new Flusher();
  try {
    for await (const entry of readTar(source, limits)) {
      signal?.throwIfAborted();
      for (const missing of tree.claim(entry.path, entry.kind)) {
        const path = `${dir}/${missing}`;
        await naming(path, Deno.mkdir(path, { mode: 0o755 }));
      }
      if (entry.kind === "directory") continue;
      const path = `${dir}/${entry.path}`;
      const file = await writeEntry(path, entry, keep.get(entry.path));
      if (file.content !== undefined) kept.set(entry.path, file.content);
      tree.setHash(entry.path, file.sha256);
      await flusher.add(path, file.open);
    }
    await flusher.finish();
    return { tree, kept };
  } finally {
    await source.close();
    await flusher.abandon();
  }
}

interface Written {
  readonly sha256: string;
  readonly content: Uint8Array | undefined;
  readonly open: Deno.FsFile;
}

async function writeEntry(
  path: string,
  entry: TarEntry,
  keepBytes: number | undefined,
): Promise<Written> {
  if (keepBytes !== undefined && entry.size > keepBytes) {
    throw extractError(`${entry.path} is larger than ${keepBytes} bytes`);
  }
  const content = keepBytes === undefined ? undefined : new Uint8Array(entry.size);
  const hash = createHash("sha256");
  const open = await naming(
    path,
    Deno.open(path, { write: true, createNew: true, mode: 0o644 }),
  );
  try {
    let done = 0;
    for await (const piece of entry.content()) {
      // The write runs on another thread while this one hashes.
      const writing = naming(path, writeAll(open, piece));
      hash.update(piece);
      content?.set(piece, done);
      done += piece.length;
      await writing;
    }
  } catch (e) {
    open.close();
    throw e;
  }
  return { sha256: hash.digest("hex"), content, open };
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

/** What the disk refuses gets the name of what it refused. */
async function naming<T>(path: string, action: Promise<T>): Promise<T> {
  try {
    return await action;
  } catch (cause) {
    throw new OngridError(`Cannot unpack ${path}`, { cause });
  }
}

/** Flushes files to the disk one after the other, behind the unpacking, and closes them. */
class Flusher {
  #last: Promise<void> = Promise.resolve();

  /** Waits for the file before, so that never more than two are open. */
  async add(path: string, file: Deno.FsFile): Promise<void> {
    try {
      await this.#last;
    } catch (e) {
      file.close();
      throw e;
    }
    this.#last = naming(path, file.syncData().finally(() => file.close()));
    // Thrown by whoever waits for it next; until then nobody does, which would end the program.
    this.#last.catch(() => {});
  }

  async finish(): Promise<void> {
    await this.#last;
  }

  /** Returns when nothing is open any more; an error is not of interest then. */
  async abandon(): Promise<void> {
    await Promise.allSettled([this.#last]);
  }
}
