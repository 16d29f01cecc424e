import { ForeignFileError } from "../cli/errors.ts";
import { nodeFs } from "./node_fs.ts";

/** How much of a foreign file is accepted. */
export interface ForeignOptions {
  /** A file that has, or while being read turns out to have, more bytes than this is refused. */
  maxBytes: number;
}

/** Something bytes can be read from, one call at a time; `Deno.FsFile` is one. */
export interface ByteReader {
  /** Fills the start of `target`; the number of bytes, or `null` at the end. */
  readSync(target: Uint8Array): number | null;
}

/** An open foreign file: reads at most `maxBytes`, then throws `ForeignFileError`. */
export interface ForeignFile extends ByteReader, Disposable {
  /** Closes it; again is harmless. */
  close(): void;
}

/** What {@linkcode openForeign} returns. */
export interface OpenedForeign {
  file: ForeignFile;
  /** Bytes at the time of opening; whoever has the file open may still change that. */
  size: number;
}

/** Foreign files are small, and a chunk is what a lie about the size can cost in memory. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Opens a file that an unprivileged account may have put there, or may be replacing right now:
 * `lstat`, open without waiting, `fstat`, and all three must mean the same regular file of bounded
 * size. So a link is never followed, a FIFO or a device never waited for, and a name that changes
 * hands in between is noticed. `O_NOFOLLOW` would not do: Deno drops it silently as soon as its
 * permissions are restricted.
 *
 * Throws `ForeignFileError`, also when the file does not exist.
 */
export function openForeign(path: string, options: ForeignOptions): OpenedForeign {
  const opened = openIfPresent(path, options);
  if (opened === undefined) throw new ForeignFileError(`${path} does not exist`);
  return opened;
}

/**
 * The content of a file that an unprivileged account may have written; `undefined` when it does not
 * exist. Throws `ForeignFileError` for everything but a regular file of at most `maxBytes`.
 */
export function readForeign(
  path: string,
  options: ForeignOptions,
): Uint8Array<ArrayBuffer> | undefined {
  const opened = openIfPresent(path, options);
  if (opened === undefined) return undefined;
  using file = opened.file;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  for (;;) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, options.maxBytes + 1));
    const count = file.readSync(chunk);
    if (count === null) break;
    chunks.push(chunk.subarray(0, count));
    total += count;
  }
  const bytes = new Uint8Array(total);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/**
 * Like {@linkcode readForeign}, decoded as UTF-8 and otherwise as it is, white space and byte order
 * mark included. Text that is not UTF-8 is refused with `ForeignFileError`.
 */
export function readForeignText(path: string, options: ForeignOptions): string | undefined {
  const bytes = readForeign(path, options);
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (e) {
    throw new ForeignFileError(`${path} is not UTF-8 text`, { cause: e });
  }
}

/**
 * The one line a marker file holds, without the white space around it; `""` for an empty file,
 * `undefined` for an absent one. More lines or control characters are refused with
 * `ForeignFileError`: the text ends up in logs and in messages to people.
 */
export function readForeignLine(path: string, options: ForeignOptions): string | undefined {
  const line = readForeignText(path, options)?.trim();
  // deno-lint-ignore no-control-regex -- control characters are what this looks for
  if (line !== undefined && /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(line)) {
    throw new ForeignFileError(`${path} is not one line of text`);
  }
  return line;
}

/**
 * Whether a real directory has this name: `false` when nothing has. Throws `ForeignFileError` when
 * something else does, a link to a directory included, because whoever may make links there could
 * lead root to any place.
 */
export function isRealDirectory(path: string): boolean {
  const info = lstatIfPresent(path);
  if (info === undefined) return false;
  if (!info.isDirectory) throw refuse(path, `it is ${kindOf(info)}, not a directory`);
  return true;
}

function openIfPresent(path: string, options: ForeignOptions): OpenedForeign | undefined {
  const seen = lstatIfPresent(path);
  if (seen === undefined) return undefined;
  if (!seen.isFile) throw refuse(path, `it is ${kindOf(seen)}, not a regular file`);
  checkSize(path, seen.size, options);
  const fs = nodeFs();
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = fs.constants;
  const fd = guarded(path, () => fs.openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY));
  if (fd === undefined) return undefined;
  try {
    const held = fs.fstatSync(fd);
    if (!held.isFile() || held.ino !== seen.ino || held.dev !== seen.dev) {
      throw refuse(path, "it was replaced while it was being opened");
    }
    checkSize(path, held.size, options);
    return { file: new BoundedFile(path, fd, options.maxBytes), size: held.size };
  } catch (e) {
    fs.closeSync(fd);
    throw e;
  }
}

class BoundedFile implements ForeignFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #fd: number | undefined;
  #left: number;

  constructor(path: string, fd: number, maxBytes: number) {
    this.#path = path;
    this.#fd = fd;
    this.#maxBytes = maxBytes;
    this.#left = maxBytes;
  }

  readSync(target: Uint8Array): number | null {
    const fd = this.#fd;
    if (fd === undefined) throw refuse(this.#path, "it is closed");
    if (target.length === 0) return 0;
    // One byte more than is allowed, so that a file grown since is told from one of that size.
    const wanted = Math.min(target.length, this.#left + 1);
    const count = guarded(this.#path, () => nodeFs().readSync(fd, target, 0, wanted, null)) ?? 0;
    this.#left -= count;
    if (this.#left < 0) throw refuse(this.#path, `it grew beyond ${this.#maxBytes} bytes`);
    return count === 0 ? null : count;
  }

  close(): void {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    nodeFs().closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function lstatIfPresent(path: string): Deno.FileInfo | undefined {
  return guarded(path, () => Deno.lstatSync(path));
}

/** `undefined` for what does not exist; other system errors become `ForeignFileError`. */
function guarded<T>(path: string, action: () => T): T | undefined {
  try {
    return action();
  } catch (e) {
    // A permission this program was started without is not the file's fault.
    if (e instanceof Deno.errors.NotCapable) throw e;
    if (e instanceof Error && "code" in e && e.code === "ENOENT") return undefined;
    throw refuse(path, "it cannot be read", e);
  }
}

function checkSize(path: string, size: number, options: ForeignOptions): void {
  if (size <= options.maxBytes) return;
  throw refuse(path, `it has ${size} bytes, more than the ${options.maxBytes} allowed`);
}

function refuse(path: string, reason: string, cause?: unknown): ForeignFileError {
  return new ForeignFileError(`Refused to read ${path}: ${reason}`, { cause });
}

function kindOf(info: Deno.FileInfo): string {
  if (info.isSymlink) return "a symbolic link";
  if (info.isDirectory) return "a directory";
  if (info.isFifo) return "a FIFO";
  if (info.isSocket) return "a socket";
  if (info.isBlockDevice || info.isCharDevice) return "a device";
  return info.isFile ? "a regular file" : "something unknown";
}
