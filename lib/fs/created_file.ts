import { describeError, OngridError } from "../cli/errors.ts";
import { nodeFs } from "./node_fs.ts";

/**
 * Removes the file that could not be completed and returns the error to throw: `cause`, or one that
 * adds that the file is still there.
 */
export function discarded(path: string, cause: unknown): unknown {
  try {
    Deno.removeSync(path);
    return cause;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return cause;
    return new OngridError(`${path} is left behind (${describeError(e).message})`, { cause });
  }
}

/** Smaller files are written out in a moment; starting that early gains nothing. */
const FLUSH_AHEAD_BYTES = 8 * 1024 * 1024;

/** How {@linkcode CreatedFile} makes its file. */
export interface CreateOptions {
  /** Permission bits, exactly as they shall be: the umask does not count. */
  mode: number;
  /** The owner to give it to; default: whoever runs this. */
  owner?: { uid: number; gid: number } | undefined;
}

/**
 * A file that this process has just created and that is private to it until it is complete. Mode and
 * owner are set through the open file, never by name: in a directory that others can write, the name
 * may already lead somewhere else, and root would change the mode of a file of their choice.
 */
export class CreatedFile implements Disposable {
  readonly #options: CreateOptions;
  readonly #fd: number;
  #bytes = 0;
  #open = true;

  /** Creates `path`; throws the system's error, `EEXIST` when anything has that name. */
  constructor(path: string, options: CreateOptions) {
    const fs = nodeFs();
    const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = fs.constants;
    this.#options = options;
    this.#fd = fs.openSync(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
  }

  /** Writes all of `data` at the end of what was written before. */
  write(data: Uint8Array): void {
    const fs = nodeFs();
    for (let done = 0; done < data.length;) {
      done += fs.writeSync(this.#fd, data, done, data.length - done);
    }
    this.#bytes += data.length;
  }

  /**
   * Gives it its owner and mode, and returns when it is on the disk. Nothing is written after.
   *
   * @param sync `later` only begins to write a large file out, in the background: the caller syncs
   * it by name when it has done other work meanwhile, and only then it is on the disk.
   */
  complete(sync: "now" | "later" = "now"): void {
    const fs = nodeFs();
    const { owner, mode } = this.#options;
    // In this order: writing and chown both clear set-id bits.
    if (owner !== undefined) fs.fchownSync(this.#fd, owner.uid, owner.gid);
    fs.fchmodSync(this.#fd, mode);
    if (sync === "now") fs.fsyncSync(this.#fd);
    // Nobody waits for this one, so what it says does not matter: the sync by name tells.
    else if (this.#bytes >= FLUSH_AHEAD_BYTES) fs.fsync(this.#fd, () => {});
  }

  /** Closes it; again is harmless. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    nodeFs().closeSync(this.#fd);
  }
}
