/** How long something may take that normally takes milliseconds, on a machine busy with others. */
const DEADLINE_MS = 20_000;

/** Between two looks. */
const PAUSE_MS = 2;

/**
 * Waits until `holds` returns true.
 *
 * @throws {Error} naming `what` where it does not within 20 s.
 */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not within ${DEADLINE_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
