import { BLOCK, END } from "./_blocks.ts";
import { checksum } from "./_header.ts";
import { splitPath } from "./_path.ts";

/** The largest size of a file in bytes, 64 GiB: 12 octal digits. */
const MAX_SIZE = 8 ** 12;

/** What a header says of an entry beside its path and size. */
export interface TarStreamOptions {
  /** The permissions: 0o644 for a file and 0o755 for a directory by default. */
  mode?: number;
  /** The number of the owner, up to 0o777777; 0 by default. */
  uid?: number;
  /** The number of the group, up to 0o777777; 0 by default. */
  gid?: number;
  /** When it was modified, in seconds since 1970; now by default. */
  mtime?: number;
  /** The name of the owner, up to 31 ASCII characters. */
  uname?: string;
  /** The name of the group, up to 31 ASCII characters. */
  gname?: string;
  /** The major number of a device, up to 8 characters. */
  devmajor?: string;
  /** The minor number of a device, up to 8 characters. */
  devminor?: string;
}

/** A file to be archived. */
export interface TarStreamFile {
  /** Says that it is a file. */
  type: "file";
  /** Its path in the archive. */
  path: string;
  /** Its size in bytes, exactly. */
  size: number;
  /** Its content. */
  readable: ReadableStream<Uint8Array>;
  /** The rest of its header. */
  options?: TarStreamOptions;
}

/** A directory to be archived. */
export interface TarStreamDir {
  /** Says that it is a directory. */
  type: "directory";
  /** Its path in the archive. */
  path: string;
  /** The rest of its header. */
  options?: TarStreamOptions;
}

/** What can be archived. */
export type TarStreamInput = TarStreamFile | TarStreamDir;

/**
 * Takes files and directories and gives a POSIX archive (ustar), which every tar can read.
 *
 * The stream fails with `RangeError` when a file is larger than 64 GiB or has another size than it
 * was said to have, and with what {@linkcode assertValidPath} and
 * {@linkcode assertValidTarStreamOptions} throw. What was written by then is no archive. The content
 * of the entry at which it fails is cancelled, that of later ones is not.
 *
 * @example
 * ```ts ignore
 * await ReadableStream.from<TarStreamInput>([{ type: "file", path: "a", size, readable }])
 *   .pipeThrough(new TarStream())
 *   .pipeTo(file.writable);
 * ```
 */
export class TarStream implements TransformStream<TarStreamInput, Uint8Array<ArrayBuffer>> {
  readonly #readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #writable: WritableStream<TarStreamInput>;

  /** A stream without input yet. */
  constructor() {
    const { readable, writable } = new TransformStream<TarStreamInput, TarStreamInput>();
    this.#writable = writable;
    const pieces = writeEntries(readable);
    this.#readable = new ReadableStream({
      type: "bytes",
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (!done) return controller.enqueue(value);
        controller.close();
        controller.byobRequest?.respond(0);
      },
      async cancel(reason) {
        // Locked means begun: then the generator gives up what it holds, the input included.
        if (readable.locked) await pieces.return();
        else await readable.cancel(reason);
      },
    });
  }

  /** The archive. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable;
  }

  /** The files and directories. */
  get writable(): WritableStream<TarStreamInput> {
    return this.#writable;
  }
}

/** Each piece is in memory of its own: a byte stream takes the memory it is given for itself. */
async function* writeEntries(
  inputs: ReadableStream<TarStreamInput>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for await (const input of inputs) {
    yield await headerOrCancel(input);
    if (input.type === "directory") continue;
    let size = 0;
    for await (const chunk of input.readable) {
      if (chunk.length === 0) continue;
      size += chunk.length;
      yield new Uint8Array(chunk);
    }
    if (size !== input.size) {
      throw new RangeError(
        `Cannot add to the tar archive: The provided size (${input.size}) did not match bytes ` +
          `read from provided readable (${size})`,
      );
    }
    if (size % BLOCK > 0) yield new Uint8Array(BLOCK - size % BLOCK);
  }
  yield new Uint8Array(END);
}

async function headerOrCancel(input: TarStreamInput): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return writeHeader(input);
  } catch (error) {
    if (input.type === "file") await input.readable.cancel(error);
    throw error;
  }
}

function writeHeader(input: TarStreamInput): Uint8Array<ArrayBuffer> {
  const { path, type, options = {} } = input;
  const size = type === "file" ? input.size : 0;
  assertValidTarStreamOptions(options);
  if (!(size >= 0 && size <= MAX_SIZE)) {
    throw new RangeError("Cannot add to the tar archive: The size cannot exceed 64 Gibs");
  }
  const { prefix, name } = splitPath(path);
  const block = new Uint8Array(BLOCK);
  const text = (value: string, at: number) => block.set(new TextEncoder().encode(value), at);
  block.set(name, 0);
  text(`${octal(options.mode ?? (type === "file" ? 0o644 : 0o755), 6)} \0`, 100);
  text(`${octal(options.uid ?? 0, 6)} \0`, 108);
  text(`${octal(options.gid ?? 0, 6)} \0`, 116);
  text(`${octal(size, 11)} `.slice(0, 12), 124);
  text(`${octal(options.mtime ?? Date.now() / 1000, 11)} `, 136);
  text(type === "file" ? "0" : "5", 156);
  text("ustar\x0000", 257);
  text(options.uname ?? "", 265);
  text(options.gname ?? "", 297);
  text(options.devmajor ?? "", 329);
  text(options.devminor ?? "", 337);
  block.set(prefix, 345);
  text(`${octal(checksum(block), 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return Math.floor(value).toString(8).padStart(digits, "0");
}

/** Throws `TypeError` for what does not fit into a header. */
export function assertValidTarStreamOptions(options: TarStreamOptions): void {
  const { mode, uid, gid, mtime, uname, gname, devmajor, devminor } = options;
  const valid: [string, boolean][] = [
    ["Mode", isOctal(mode, 6)],
    ["UID", isOctal(uid, 6)],
    ["GID", isOctal(gid, 6)],
    ["MTime", isOctal(mtime, 11)],
    ["UName", isName(uname)],
    ["GName", isName(gname)],
    ["DevMajor", (devmajor ?? "").length <= 8],
    ["DevMinor", (devminor ?? "").length <= 8],
  ];
  for (const [what, isValid] of valid) {
    if (isValid) continue;
    throw new TypeError(`Cannot add to the tar archive: Invalid ${what} provided`);
  }
}

function isOctal(value: number | undefined, digits: number): boolean {
  return value === undefined ||
    value >= 0 && value < 8 ** digits;
}

/** One byte of the field is the NUL that ends it. */
function isName(value = ""): boolean {
  // deno-lint-ignore no-control-regex -- these are the ASCII characters.
  return /^[\x00-\x7F]{0,31}$/.test(value);
}

/**
 * Throws unless `path` fits into a header: `RangeError` when it has more than 256 bytes or its last
 * segment more than 99, `TypeError` when no slash parts it into 155 bytes and 99 bytes.
 */
export function assertValidPath(path: string): void {
  splitPath(path);
}
