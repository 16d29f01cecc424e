/** Ids of one connection step by this much, as the existing peers count. */
const STEP = 2;

/**
 * Makes packet ids: the upper 32 bits are unix seconds, the lower 32 a counter that starts at
 * random and wraps. An id only has to be unique among the packets of one direction that still
 * wait for an answer, so one source can serve many connections.
 */
export class PacketIds {
  readonly #seconds: () => number;
  #counter: number;

  /** @param wall milliseconds since 1970 */
  constructor(wall: () => number, start = randomStart()) {
    this.#seconds = () => Math.floor(wall() / 1000);
    this.#counter = start >>> 0;
  }

  /** The next id, 64 bits. */
  next(): bigint {
    this.#counter = (this.#counter + STEP) >>> 0;
    return (BigInt(this.#seconds() >>> 0) << 32n) | BigInt(this.#counter);
  }
}

function randomStart(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
