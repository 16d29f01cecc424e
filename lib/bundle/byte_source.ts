/** Chunks of any size, taken in pieces of the size that a reader needs. */

/**
 * Takes bytes off a stream of chunks. It waits once a chunk, not once a piece, and hands out views:
 * a piece is copied only where it spans two chunks.
 */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array<ArrayBuffer>>;
  #chunk = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array<ArrayBuffer>>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Up to `max` bytes, at least one; `undefined` at the end. */
  async some(max: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    while (this.#chunk.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done) return undefined;
      this.#chunk = value;
    }
    const piece = this.#chunk.subarray(0, max);
    this.#chunk = this.#chunk.subarray(piece.length);
    return piece;
  }

  /** Exactly `count` bytes; fewer only at the end. */
  async block(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const first = await this.some(count);
    if (first === undefined || first.length === count) return first ?? new Uint8Array(0);
    const whole = new Uint8Array(count);
    whole.set(first);
    let filled = first.length;
    while (filled < count) {
      const piece = await this.some(count - filled);
      if (piece === undefined) return whole.subarray(0, filled);
      whole.set(piece, filled);
      filled += piece.length;
    }
    return whole;
  }

  /** Gives the stream up, wherever it stands. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
