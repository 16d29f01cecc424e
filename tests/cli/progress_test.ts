import { assertEquals, assertMatch } from "@std/assert";
import { recorder } from "./recorder.ts";

const MIB = 1024 * 1024;

Deno.test("on a terminal one bar shows percentage, rate and remaining time", () => {
  const kept = recorder({ isTerminal: true });
  const progress = kept.output.progress("bundle", 100 * MIB);
  for (let second = 1; second <= 4; second++) {
    kept.now = second * 1000;
    progress.update(second * 10 * MIB);
  }
  assertEquals(kept.shown(), [
    "bundle  [########-------------]  40%  40.0 MiB of 100.0 MiB  10.0 MiB/s  ETA 6s",
  ]);
  progress.finish();
});

Deno.test("a bar fits every width, and gives way to its numbers on a narrow terminal", () => {
  for (const columns of [1, 10, 20, 40, 60, 80, 120, 200]) {
    const kept = recorder({ isTerminal: true, columns });
    const progress = kept.output.progress("bundle", 100 * MIB);
    kept.now = 1000;
    progress.update(55 * MIB);
    const [line = "", ...more] = kept.shown();
    assertEquals(more, []);
    assertEquals(line.length < Math.max(columns, 2), true, `${columns}: ${line}`);
    if (columns >= 80) assertMatch(line, /\[#+-+\] {2}55%/);
    if (columns === 40) assertMatch(line, /^bundle {2}55%/);
    progress.finish();
  }
});

Deno.test("the bar is redrawn at most ten times a second", () => {
  const kept = recorder({ isTerminal: true });
  const progress = kept.output.progress("bundle", 1000);
  for (let i = 0; i < 1000; i++) {
    kept.now = i;
    progress.update(i);
  }
  // deno-lint-ignore no-control-regex -- escape sequences are what is counted
  assertEquals((kept.stderr.match(/\x1b\[1A/g) ?? []).length, 9);
  progress.finish();
});

Deno.test("a finished bar leaves one line with amount, time and rate", () => {
  const kept = recorder({ isTerminal: true });
  const progress = kept.output.progress("bundle", 100 * MIB);
  kept.now = 10_000;
  progress.update(100 * MIB);
  progress.finish();
  progress.finish();
  progress.update(5);
  assertEquals(kept.shown(), ["[INFO] bundle: 100.0 MiB in 10s, 10.0 MiB/s"]);
});

Deno.test("elsewhere there is one line per ten percent", () => {
  const kept = recorder();
  const progress = kept.output.progress("bundle", 1000 * MIB);
  progress.update(0);
  for (let i = 1; i <= 1000; i++) {
    kept.now = i * 10;
    progress.update(i * MIB);
  }
  progress.finish();
  const lines = kept.stderr.trim().split("\n");
  assertEquals(lines.length, 10);
  assertEquals(lines[0], "[INFO] bundle: 10%, 100.0 MiB of 1000.0 MiB, 100.0 MiB/s");
  assertEquals(lines[9], "[INFO] bundle: 1000.0 MiB in 10s, 100.0 MiB/s");
});

Deno.test("a jump over several tenths is one line", () => {
  const kept = recorder();
  const progress = kept.output.progress("bundle", 100);
  progress.update(55);
  progress.update(56);
  progress.finish();
  assertEquals(
    kept.stderr,
    "[INFO] bundle: 55%, 55 B of 100 B\n[INFO] bundle: ended at 56%, 56 B of 100 B\n",
  );
});

Deno.test("with an unknown total there is a line every ten seconds", () => {
  const kept = recorder();
  const progress = kept.output.progress("bundle");
  for (let second = 1; second <= 25; second++) {
    kept.now = second * 1000;
    progress.update(second * MIB);
  }
  progress.finish();
  assertEquals(kept.stderr.trim().split("\n"), [
    "[INFO] bundle: 10.0 MiB, 1.0 MiB/s",
    "[INFO] bundle: 20.0 MiB, 1.0 MiB/s",
    "[INFO] bundle: 25.0 MiB in 25s, 1.0 MiB/s",
  ]);
});

Deno.test("with an unknown total a terminal shows amount and rate", () => {
  const kept = recorder({ isTerminal: true });
  const progress = kept.output.progress("bundle");
  kept.now = 2000;
  progress.update(10 * MIB);
  assertEquals(kept.shown(), ["bundle  10.0 MiB  5.0 MiB/s"]);
  progress.finish();
});

Deno.test("a total that becomes known later is taken", () => {
  const kept = recorder();
  const progress = kept.output.progress("bundle");
  progress.update(50, 100);
  progress.finish();
  assertMatch(kept.stderr, /50%, 50 B of 100 B/);
});

Deno.test("bytes from before the start do not count for the rate", () => {
  const kept = recorder({ isTerminal: true });
  const progress = kept.output.progress("bundle", 200 * MIB);
  progress.update(90 * MIB);
  kept.now = 10_000;
  progress.update(100 * MIB);
  assertMatch(kept.shown()[0] ?? "", /1\.0 MiB\/s {2}ETA 1m40s$/);
  progress.finish();
});

Deno.test("nothing to do is done at once", () => {
  const kept = recorder({ isTerminal: true });
  const progress = kept.output.progress("bundle", 0);
  assertMatch(kept.shown()[0] ?? "", /\[#+\] 100%/);
  progress.finish();
  assertEquals(kept.shown(), ["[INFO] bundle: 0 B in 0s"]);
});

Deno.test("things are counted without units", () => {
  const kept = recorder();
  const progress = kept.output.progress("edges", 5, "items");
  progress.update(3);
  progress.finish();
  assertEquals(kept.stderr, "[INFO] edges: 60%, 3 of 5\n[INFO] edges: ended at 60%, 3 of 5\n");
});

Deno.test("two bars at once are shown one below the other", () => {
  const kept = recorder({ isTerminal: true });
  const one = kept.output.progress("one", 100);
  const two = kept.output.progress("two", 100);
  kept.now = 200;
  one.update(100);
  one.finish();
  kept.now = 400;
  two.update(50);
  const [first, second] = kept.shown();
  assertEquals(first, "[INFO] one: 100 B in 200ms");
  assertMatch(second ?? "", /^two {2}\[#+-+\] {2}50%/);
  two.finish();
});

Deno.test("machines get the same steps as events", () => {
  const kept = recorder({ json: true });
  const progress = kept.output.progress("bundle", 100);
  progress.update(10);
  progress.update(100);
  progress.finish();
  const events = kept.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(events.map(({ event, label, done, total }) => [event, label, done, total]), [
    ["progress", "bundle", 10, 100],
    ["progress", "bundle", 100, 100],
  ]);
});
