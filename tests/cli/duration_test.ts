import { assertEquals } from "@std/assert";
import { formatDuration, MAX_DURATION_MS, parseDuration } from "../../lib/cli/duration.ts";
import { formatBytes } from "../../lib/cli/units.ts";

Deno.test("durations are understood with and without units", () => {
  const texts = ["0", "90", "1.5", "250ms", "30s", "5m", "1h", "2d", "1h30m", "1m30s500ms", "1.5h"];
  assertEquals(texts.map(parseDuration), [
    0,
    90_000,
    1500,
    250,
    30_000,
    300_000,
    3_600_000,
    172_800_000,
    5_400_000,
    90_500,
    5_400_000,
  ]);
});

Deno.test("what is no duration is refused", () => {
  const texts = ["", "s", "5 m", "5x", "-5s", "1e3", "5m30", ".5s", "1,5s", "Infinity", "5M"];
  for (const text of texts) assertEquals(parseDuration(text), undefined, text);
});

Deno.test("a duration that a timer could not keep is refused", () => {
  assertEquals(parseDuration(`${MAX_DURATION_MS}ms`), MAX_DURATION_MS);
  assertEquals(parseDuration(`${MAX_DURATION_MS + 1}ms`), undefined);
  assertEquals(parseDuration("25d"), undefined);
});

Deno.test("a duration is printed in the form that is understood", () => {
  for (const text of ["0s", "250ms", "1.5s", "30s", "5m", "1h30m", "2d", "1d1h1m1s"]) {
    assertEquals(formatDuration(parseDuration(text) ?? NaN), text);
  }
});

Deno.test("bytes are printed with one decimal of the unit that fits", () => {
  const sizes = [0, 17, 1023, 1024, 1536, 1024 ** 2 - 1, 120 * 1024 ** 2, 3 * 1024 ** 4, 5e16];
  assertEquals(sizes.map(formatBytes), [
    "0 B",
    "17 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "1.0 MiB",
    "120.0 MiB",
    "3.0 TiB",
    "45474.7 TiB",
  ]);
});
