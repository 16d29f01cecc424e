const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * The longest duration accepted, in milliseconds (24 days and 20 hours): a timer set to more than
 * 31 bits of milliseconds fires at once.
 */
export const MAX_DURATION_MS = 2 ** 31 - 1;

/**
 * Milliseconds of a duration such as `"30s"`, `"1h30m"`, `"1.5h"` or `"250ms"`; a number without a
 * unit is seconds. `undefined` when it is none, or longer than {@linkcode MAX_DURATION_MS}.
 */
export function parseDuration(text: string): number | undefined {
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? `${text}s` : text;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(seconds)) return undefined;
  let total = 0;
  for (const [, count, unit] of seconds.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(count) * (UNIT_MS[unit ?? ""] ?? NaN);
  }
  const ms = Math.round(total);
  return ms <= MAX_DURATION_MS ? ms : undefined;
}

/** A duration in milliseconds as {@linkcode parseDuration} takes it: `"1h30m"`, `"1.5s"`, `"0s"`. */
export function formatDuration(ms: number): string {
  if (ms > 0 && ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 10_000 && ms % 1000 !== 0) return `${(ms / 1000).toFixed(1)}s`;
  let left = Math.round(ms / 1000);
  let text = "";
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]] as const) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === "" ? "0s" : text;
}
