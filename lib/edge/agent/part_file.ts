/** A download on its way: the bytes so far, and their hash so far. */

import { createHash, type Hash } from "node:crypto";
import { OngridError, systemCode } from "../../cli/errors.ts";
import { removeTreeDurable } from "../../fs/durable.ts";
import { lstatOrUndefined } from "../../fs/lstat.ts";

/** Read size while the bytes of an earlier run are hashed. */
const CHUNK_BYTES = 1024 * 1024;

/** The file `<sha256>.part`; what it holds can be resumed by a later run. */
export class PartFile implements Disposable {
  readonly path: string;
  readonly #file: Deno.FsFile;
  #hash: Hash;
  #size: number;

  private constructor(path: string, file: Deno.FsFile, hash: Hash, size: number) {
    this.path = path;
    this.#file = file;
    this.#hash = hash;
    this.#size = size;
  }

  /**
   * Opens the file, new or with what an earlier run left in it. Whatever else has the name is
   * removed: a FIFO would be read for ever, and what a link leads to would be overwritten.
   */
  static async open(path: string): Promise<PartFile> {
    const there = lstatOrUndefined(path);
    if (there && !(there.isFile && there.nlink === 1)) removeTreeDurable(path);
    const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
    try {
      const hash = createHash("sha256");
      const buffer = new Uint8Array(CHUNK_BYTES);
      let size = 0;
      for (let count = await file.read(buffer); count !== null; count = await file.read(buffer)) {
        hash.update(buffer.subarray(0, count));
        size += count;
      }
      return new PartFile(path, file, hash, size);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  /** Appends. */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) done += await this.#file.write(bytes.subarray(done));
    } catch (error) {
      throw new DiskError(`write ${this.path}`, error);
    }
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }

  /** Forgets everything so far. */
  async restart(): Promise<void> {
    await this.#file.truncate(0);
    await this.#file.seek(0, Deno.SeekMode.Start);
    this.#hash = createHash("sha256");
    this.#size = 0;
  }

  /** Lower-case hex SHA-256 of the bytes so far. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Waits until the bytes will survive a power cut. */
  async sync(): Promise<void> {
    await this.#file.sync();
  }

  /** Closes the file and keeps it. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Returned when the disk, not the network, ended a download: trying again does not help. */
export class DiskError extends OngridError {
  override readonly name = "DiskError";

  constructor(what: string, cause: unknown) {
    super(
      what,
      systemCode(cause) === "ENOSPC"
        ? { cause, hint: "Free some space below the state directory, then push again." }
        : { cause },
    );
  }
}
