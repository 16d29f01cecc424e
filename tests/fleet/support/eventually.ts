/** How long a condition may take to come true, ms: far more than it needs on a busy machine. */
const DEADLINE_MS = 15_000;

/** Resolves with the first answer of `ask` that is not undefined; asks every few milliseconds. */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + DEADLINE_MS;
  while (true) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`in vain waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
