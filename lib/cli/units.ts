const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/** Bytes for people, in powers of 1024: `"17 B"`, `"1.5 KiB"`, `"120.0 MiB"`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = "B";
  for (const next of UNITS) {
    // 1023.95 would be printed as 1024.0.
    if (value < (unit === "B" ? 1024 : 1023.95)) break;
    value /= 1024;
    unit = next;
  }
  return unit === "B" ? `${Math.round(value)} B` : `${value.toFixed(1)} ${unit}`;
}
