/** Thrown by every function of this package when what it asserts does not hold. */
export class AssertionError extends Error {
  /** `message` says what was expected and what was found. */
  constructor(message: string) {
    super(message);
    this.name = "AssertionError";
  }
}

/** The end of an assertion message: the caller's own words, or a full stop. */
export function suffixOf(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}
