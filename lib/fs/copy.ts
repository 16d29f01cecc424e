import { crypto } from "@std/crypto";
import { ForeignFileError, OngridError } from "../cli/errors.ts";
import { CreatedFile, type CreateOptions, discarded } from "./created_file.ts";
import { type ByteReader, openForeign } from "./foreign.ts";

/** What {@linkcode copyVerified} copies, and how. */
export interface CopyOptions {
  /**
   * The path of a regular file, opened as {@linkcode openForeign} does, or a reader that is open
   * already and stays open.
   */
  from: string | ByteReader;
  /** The path to create; nothing may have that name. */
  to: string;
  /** Permission bits of the copy, whatever the umask. */
  mode: number;
  /** More bytes than this end the copy with an error; default: no limit. */
  maxBytes?: number;
  /** The owner of the copy; default: whoever runs this. */
  owner?: { uid: number; gid: number };
  /**
   * `later`: the copy is being written out on return but may not be on the disk yet, so that the
   * next copy need not wait for it; `syncFile` finishes that. Default: `now`.
   */
  sync?: "now" | "later";
}

/** What was copied, see {@linkcode copyVerified}. */
export interface CopyResult {
  /** SHA-256 of exactly the bytes that were written, 64 lower-case hex digits. */
  sha256: string;
  bytes: number;
}

/** Large enough that system calls cost nothing, small enough to stay in the cache. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * Copies in one pass, hashing the very bytes that it writes: the source may change under a second
 * reading, since somebody else can still hold it open. The copy is new, complete and (see
 * {@linkcode CopyOptions.sync}) on the disk on return, its name is not (see `syncDirectory`). On any failure, a full disk included, nothing is
 * left under `to`, and `OngridError` or `ForeignFileError` is thrown.
 *
 * @example
 * ```ts
 * const { sha256 } = copyVerified({ from: "/src/agent", to: "/dest/agent.new", mode: 0o755 });
 * if (sha256 !== entry.sha256) removeDurable("/dest/agent.new");
 * ```
 */
export function copyVerified(options: CopyOptions): CopyResult {
  const { from } = options;
  const maxBytes = options.maxBytes ?? Number.MAX_SAFE_INTEGER - 1;
  if (typeof from !== "string") return copyFrom(from, "an open file", maxBytes, options);
  using source = openForeign(from, { maxBytes }).file;
  return copyFrom(source, from, maxBytes, options);
}

/**
 * SHA-256 of a regular file as 64 lower-case hex digits. Throws `ForeignFileError` for anything
 * else, absent files and symbolic links included.
 */
export function hashFile(path: string): string {
  using file = openForeign(path, { maxBytes: Number.MAX_SAFE_INTEGER - 1 }).file;
  return sha256Of(chunksOf(file));
}

function copyFrom(
  source: ByteReader,
  name: string,
  maxBytes: number,
  options: CopyOptions,
): CopyResult {
  const { to, mode, owner } = options;
  const what = `Cannot copy ${name} to ${to}`;
  const target = create(what, to, { mode, owner });
  try {
    using open = target;
    let bytes = 0;
    const sha256 = sha256Of(chunksOf(source, (chunk) => {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new OngridError(`it has more than ${maxBytes} bytes`);
      open.write(chunk);
    }));
    open.complete(options.sync);
    return { sha256, bytes };
  } catch (e) {
    const cause = discarded(to, e);
    throw cause instanceof ForeignFileError ? cause : new OngridError(what, { cause });
  }
}

function create(what: string, path: string, options: CreateOptions): CreatedFile {
  try {
    return new CreatedFile(path, options);
  } catch (e) {
    throw new OngridError(what, { cause: e });
  }
}

/**
 * The chunks share one buffer: whoever iterates has to be done with a chunk before asking for the
 * next, which both the hash and the writing here are.
 */
function* chunksOf(
  source: ByteReader,
  before?: (chunk: Uint8Array<ArrayBuffer>) => void,
): Generator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const count = source.readSync(buffer);
    if (count === null) return;
    const chunk = buffer.subarray(0, count);
    before?.(chunk);
    yield chunk;
  }
}

function sha256Of(chunks: Iterable<Uint8Array<ArrayBuffer>>): string {
  const digest = crypto.subtle.digestSync("SHA-256", chunks);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
