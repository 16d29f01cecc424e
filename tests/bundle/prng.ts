/** Random choices that a failing test can be run with again. */

/** A small generator (mulberry32): the same seed gives the same choices on every machine. */
export class Prng {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** A seed from `ONGRID_TEST_SEED`, or a new one. */
  static seed(): number {
    const given = Deno.env.get("ONGRID_TEST_SEED");
    return given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 1 : Number(given);
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number below `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** One of several. */
  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }
}
