/** Work on both cores. */

/** As many as the smallest machine that this runs on has cores. */
export const WORKERS = 2;

/**
 * Calls `act` for every item, {@linkcode WORKERS} at a time. All items are tried: a sweep that finds
 * something shows how far it reaches.
 *
 * @param act `worker` is below {@linkcode WORKERS} and never in use twice at once.
 * @throws {Error} with the first few failures.
 */
export async function forEach<T>(
  items: readonly T[],
  act: (item: T, worker: number) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  const queue = [...items];
  const work = async (worker: number) => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      try {
        await act(item, worker);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
  if (failures.length > 0) {
    const shown = failures.slice(0, 5).join("\n\n");
    throw new Error(`${failures.length} of ${items.length} failed:\n${shown}`);
  }
}

/** At most `count` of them, chosen by `next`, which returns numbers from 0 to below 1. */
export function sample<T>(items: readonly T[], count: number, next: () => number): T[] {
  const left = [...items];
  const chosen: T[] = [];
  while (chosen.length < count && left.length > 0) {
    chosen.push(...left.splice(Math.floor(next() * left.length), 1));
  }
  return chosen;
}
