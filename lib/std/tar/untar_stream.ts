import { BLOCK, BlockReader } from "./_blocks.ts";
import { type OldStyleFormat, type PosixUstarFormat, readHeader } from "./_header.ts";

export type { OldStyleFormat, PosixUstarFormat };

/** The types without content, whatever size their header states: links, devices, directories. */
const TYPES_WITHOUT_CONTENT = ["1", "2", "3", "4", "5", "6"];

/** One entry of an archive. */
export interface TarStreamEntry {
  /** Its header as it stands there, with the ustar fields if it is a ustar header. */
  header: OldStyleFormat | PosixUstarFormat;
  /** Its path as it stands there: nothing is normalized, checked or refused. */
  path: string;
  /**
   * Its content, unless its type has none. It has to be read to its end or cancelled, even when it
   * is empty: the next entry does not come before.
   */
  readable?: ReadableStream<Uint8Array>;
}

/**
 * Takes an uncompressed archive and gives its entries.
 *
 * What it does with more than plain files, as the published package does:
 * - Types `1` to `6` (hard link, symbolic link, character device, block device, directory, FIFO)
 *   come without `readable`. If their header states a size, the content is taken for headers.
 * - Any other type comes like a file, with `readable`, and keeps its letter in `header.typeflag`.
 *   So a PAX header (`x`, `g`) or a GNU long name (`L`, `K`) is an entry of its own with a
 *   made-up path, and the entry that follows has the path of its own header, cut off. Nothing of
 *   these headers is applied. A caller who wants long names has to read them, one who does not has
 *   to refuse them.
 * - `prefix` belongs to the path of a ustar header only; a GNU header (`ustar` and two spaces) is
 *   an {@linkcode OldStyleFormat}.
 * - Numbers are read as octal up to the first other character, `NaN` if there is none. A size of
 *   `NaN` (such as GNU's binary sizes above 8 GiB) or below zero reads no content.
 * - Names that are not UTF-8 get replacement characters; a name ends at its first NUL.
 *
 * Two blocks of zeros are the end, wherever they come between entries: the input is cancelled and
 * what is behind it is not read. So neither the end of a compressed stream nor its checksum is
 * reached.
 *
 * The stream fails with `RangeError` for an input of fewer than two blocks or one that ends within a
 * block, `TypeError` for one that ends without two blocks of zeros, `SyntaxError` for a wrong
 * checksum. The content of an entry fails with `SyntaxError` or `RangeError` for one that ends
 * within it, and with the last two blocks of it unread.
 *
 * @example
 * ```ts ignore
 * for await (const entry of file.readable.pipeThrough(new UntarStream())) {
 *   await entry.readable?.pipeTo((await Deno.create(entry.path)).writable);
 * }
 * ```
 */
export class UntarStream implements TransformStream<Uint8Array, TarStreamEntry> {
  readonly #readable: ReadableStream<TarStreamEntry>;
  readonly #writable: WritableStream<Uint8Array>;

  /** A stream without input yet. */
  constructor() {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    this.#writable = writable;
    const blocks = new BlockReader(readable);
    const entries = readEntries(blocks);
    this.#readable = new ReadableStream({
      async pull(controller) {
        const { done, value } = await entries.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      // Not by way of the generator: that may be waiting for content nobody is going to read.
      cancel: (reason) => blocks.cancel(reason),
    }, { highWaterMark: 0 });
  }

  /** The entries. */
  get readable(): ReadableStream<TarStreamEntry> {
    return this.#readable;
  }

  /** The archive. */
  get writable(): WritableStream<Uint8Array> {
    return this.#writable;
  }
}

async function* readEntries(blocks: BlockReader): AsyncGenerator<TarStreamEntry, void> {
  let reason: unknown = "Tar stream finished prematurely";
  try {
    await blocks.start();
    while (!blocks.atEnd()) {
      const header = readHeader(await blocks.block(invalidEnding));
      const path = "prefix" in header && header.prefix !== ""
        ? `${header.prefix}/${header.name}`
        : header.name;
      if (TYPES_WITHOUT_CONTENT.includes(header.typeflag)) {
        yield { path, header };
        continue;
      }
      const content = new Content(blocks, header.size);
      yield { path, header, readable: content.readable };
      await content.finished;
    }
  } catch (error) {
    reason = error;
    throw error;
  } finally {
    // Somebody has to close the input, above all when it is not what it should be.
    await blocks.cancel(reason);
  }
}

/** The content of one entry, up to the block after it. */
class Content {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #blocks: BlockReader;
  readonly #end = Promise.withResolvers<{ error?: unknown }>();
  #last: Promise<unknown> = Promise.resolve();
  #bytesLeft: number;
  #paddedLeft: number;

  constructor(blocks: BlockReader, size: number) {
    this.#blocks = blocks;
    this.#bytesLeft = size > 0 ? size : 0;
    this.#paddedLeft = Math.ceil(this.#bytesLeft / BLOCK) * BLOCK;
    this.readable = new ReadableStream({
      type: "bytes",
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#skip(),
    });
  }

  /** Resolves when it was read to its end or skipped, rejects when that failed. */
  get finished(): Promise<void> {
    return this.#end.promise.then((end) => {
      if ("error" in end) throw end.error;
    });
  }

  async #pull(controller: ReadableByteStreamController): Promise<void> {
    const piece = await this.#next();
    if (piece !== undefined) return controller.enqueue(piece);
    controller.close();
    // A reader that brought its own memory waits until that is given back.
    controller.byobRequest?.respond(0);
  }

  async #skip(): Promise<void> {
    while (await this.#next() !== undefined);
  }

  /** The next piece of content, `undefined` at its end. Padding is left out. */
  #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    // A cancel may come while a pull is under way: two at once would take each other's blocks.
    const turn = () => this.#read();
    const piece = this.#last.then(turn, turn);
    this.#last = piece;
    return piece;
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      while (this.#paddedLeft > 0) {
        const bytes = await this.#blocks.bytes(this.#paddedLeft, unexpectedEnd);
        const piece = bytes.subarray(0, Math.min(bytes.length, this.#bytesLeft));
        this.#paddedLeft -= bytes.length;
        this.#bytesLeft -= piece.length;
        if (piece.length > 0) return piece;
      }
      this.#end.resolve({});
      return undefined;
    } catch (error) {
      this.#end.resolve({ error });
      throw error;
    }
  }
}

function invalidEnding(): Error {
  return new TypeError("Cannot extract the tar archive: The tarball has invalid ending");
}

function unexpectedEnd(): Error {
  return new SyntaxError("Cannot extract the tar archive: Unexpected end of Tarball");
}
