/**
 * Runs a service until it ends by itself or is told to by SIGTERM or SIGINT.
 *
 * @param service gets a signal that is aborted then, and ends in order.
 * @returns what the service returns, its exit code.
 */
export async function untilSignalled(
  service: (stop: AbortSignal) => Promise<number>,
): Promise<number> {
  const stop = new AbortController();
  const end = () => stop.abort();
  const signals = ["SIGTERM", "SIGINT"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, end);
  try {
    return await service(stop.signal);
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, end);
  }
}
