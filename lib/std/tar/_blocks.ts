/** The size of everything in an archive, in bytes (POSIX.1, pax, "ustar Interchange Format"). */
export const BLOCK = 512;

/** What marks the end of an archive, in bytes: two blocks of zeros. */
export const END = 2 * BLOCK;

/** The largest piece of content in bytes: 64 KiB of gzip may expand into one chunk of 64 MiB. */
const MAX_PIECE = 128 * BLOCK;

/**
 * Takes an archive apart. It always looks the length of the end mark ahead of what it gives out, so
 * that an archive without end is noticed before its last content is believed.
 */
export class BlockReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #chunks: Uint8Array[] = [];
  #buffered = 0;
  /** How much of the block at hand was given out already. */
  #offset = 0;

  constructor(input: ReadableStream<Uint8Array>) {
    this.#reader = input.getReader();
  }

  /** Looks at the first two blocks. Throws `RangeError` when there are not so many. */
  async start(): Promise<void> {
    if (await this.#fill(END)) return;
    throw new RangeError("Cannot extract the tar archive: The tarball is too small to be valid");
  }

  /** Whether the next two blocks are the end mark. */
  atEnd(): boolean {
    let left = END;
    for (const chunk of this.#chunks) {
      if (chunk.subarray(0, left).some((byte) => byte !== 0)) return false;
      left -= Math.min(left, chunk.length);
    }
    return true;
  }

  /**
   * The next block, in memory of its own. Throws what `ending` makes when there are not two more
   * behind it, `RangeError` when the input ends within a block.
   */
  async block(ending: () => Error): Promise<Uint8Array> {
    await this.#need(ending);
    const block = new Uint8Array(BLOCK);
    for (let filled = 0; filled < BLOCK;) {
      const part = this.#take(BLOCK - filled);
      block.set(part, filled);
      filled += part.length;
    }
    return block;
  }

  /** Up to `length` bytes, at least one, in memory of their own. Throws like `block`. */
  async bytes(length: number, ending: () => Error): Promise<Uint8Array<ArrayBuffer>> {
    await this.#need(ending);
    // The block that the last byte is in has to have two behind it.
    const blocks = Math.floor((this.#offset + this.#buffered - END) / BLOCK);
    const ready = blocks * BLOCK - this.#offset;
    return new Uint8Array(this.#take(Math.min(length, ready, MAX_PIECE)));
  }

  /** Ends it. The rest of the input is not read; whatever it comes from is closed. */
  async cancel(reason: unknown): Promise<void> {
    this.#chunks.length = 0;
    this.#buffered = 0;
    await this.#reader.cancel(reason);
  }

  async #need(ending: () => Error): Promise<void> {
    if (await this.#fill(BLOCK - this.#offset + END)) return;
    const short = (this.#offset + this.#buffered) % BLOCK;
    if (short === 0) throw ending();
    throw new RangeError(
      "Cannot extract the tar archive: " +
        `The tarball chunk has an unexpected number of bytes (${short})`,
    );
  }

  async #fill(length: number): Promise<boolean> {
    while (this.#buffered < length) {
      const { done, value } = await this.#reader.read();
      if (done) return false;
      this.#chunks.push(value);
      this.#buffered += value.length;
    }
    return true;
  }

  /** At most `length` bytes of the first chunk, not copied. */
  #take(length: number): Uint8Array {
    while (this.#chunks[0]?.length === 0) this.#chunks.shift();
    const chunk = this.#chunks[0] ?? new Uint8Array();
    const part = chunk.subarray(0, length);
    if (part.length === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(part.length);
    this.#buffered -= part.length;
    this.#offset = (this.#offset + part.length) % BLOCK;
    return part;
  }
}
