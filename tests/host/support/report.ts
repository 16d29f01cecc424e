/** What the tests tell people: counts, times, seeds, and why something was skipped. */

const started = performance.now();

/** One line on stdout. */
export function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`    ${text}\n`));
}

/** Runs `act` and says how long it took; what it returns becomes the line. */
export async function timed(what: string, act: () => Promise<string>): Promise<void> {
  const begun = performance.now();
  const text = await act();
  say(`${what}: ${text}, ${seconds(begun)} s (${seconds(started)} s in all)`);
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1);
}
