import { assertEquals, assertMatch } from "@std/assert";
import { recorder } from "./recorder.ts";

Deno.test("messages for people go to stderr with their level, results to stdout", () => {
  const kept = recorder();
  kept.output.info("one");
  kept.output.warn("two");
  kept.output.error("three");
  kept.output.result("v1.2.3");
  assertEquals(kept.stderr, "[INFO] one\n[WARN] two\n[ERROR] three\n");
  assertEquals(kept.stdout, "v1.2.3\n");
});

Deno.test("on a terminal the levels have colours", () => {
  const kept = recorder({ isTerminal: true });
  kept.output.warn("hot");
  assertEquals(kept.stderr, "\x1b[33m[WARN]\x1b[0m hot\n");
});

Deno.test("NO_COLOR, a dumb terminal and a pipe get neither colour nor cursor movement", () => {
  const plain = [
    recorder({ isTerminal: true, env: { NO_COLOR: "1" } }),
    recorder({ isTerminal: true, env: { TERM: "dumb" } }),
    recorder(),
  ];
  for (const kept of plain) {
    const progress = kept.output.progress("download", 100);
    progress.update(50);
    kept.output.warn("hot");
    progress.finish();
    assertEquals(kept.stderr.includes("\x1b"), false);
  }
});

Deno.test("an empty NO_COLOR does not forbid colour", () => {
  const kept = recorder({ isTerminal: true, env: { NO_COLOR: "" } });
  kept.output.info("x");
  assertEquals(kept.stderr.includes("\x1b"), true);
});

Deno.test("under systemd every line carries its priority", () => {
  for (const env of [{ JOURNAL_STREAM: "9:1234" }, { ONGRID_LOG_PREFIX: "journal" }]) {
    const kept = recorder({ env });
    kept.output.info("one");
    kept.output.warn("two\nthree");
    kept.output.error("four");
    assertEquals(
      kept.stderr,
      "<6>[INFO] one\n<4>[WARN] two\n<4>[WARN] three\n<3>[ERROR] four\n",
    );
  }
});

Deno.test("a terminal inside a service is a terminal", () => {
  const kept = recorder({ isTerminal: true, env: { JOURNAL_STREAM: "9:1234" } });
  kept.output.info("one");
  assertEquals(kept.stderr.startsWith("<"), false);
});

Deno.test("control characters in messages do not reach the terminal", () => {
  const kept = recorder({ isTerminal: true });
  kept.output.info("a\x1b]0;owned\x07b\x00c\rd\x9b31me\x7f\u202ef\tg");
  assertEquals(kept.stderr, "\x1b[32m[INFO]\x1b[0m a]0;ownedbcd31mef\tg\n");
  kept.output.result("x\x1b[2Jy");
  assertEquals(kept.stdout, "x[2Jy\n");
});

Deno.test("a message with newlines cannot pass for several", () => {
  const kept = recorder();
  kept.output.error("failed\n[INFO] all is well\n");
  assertEquals(kept.stderr, "[ERROR] failed\n[ERROR] [INFO] all is well\n");
});

Deno.test("events are one JSON object a line, and only with --json", () => {
  const silent = recorder();
  silent.output.event("step", { step: 1 });
  assertEquals(silent.stdout, "");

  const kept = recorder({ json: true });
  kept.output.event("step", { step: 1, name: "pre\nflight", ts: "forged", event: "forged" });
  kept.output.event("edge", {
    id: 12345678901234567890n,
    error: new Error("why"),
    none: undefined,
  });
  assertEquals(
    kept.stdout,
    '{"ts":"2024-01-02T03:04:05.000Z","event":"step","step":1,"name":"pre\\nflight"}\n' +
      '{"ts":"2024-01-02T03:04:05.000Z","event":"edge","id":"12345678901234567890","error":"why"}\n',
  );
});

Deno.test("with --json the result is the event of that name", () => {
  const kept = recorder({ json: true });
  kept.output.result({ version: "v1" });
  kept.output.result("text");
  kept.output.result([1, 2]);
  kept.output.result(null);
  const lines = kept.stdout.trim().split("\n").map((line) => JSON.parse(line));
  const ts = "2024-01-02T03:04:05.000Z";
  assertEquals(lines, [
    { ts, event: "result", version: "v1" },
    { ts, event: "result", text: "text" },
    { ts, event: "result", items: [1, 2] },
    { ts, event: "result", value: null },
  ]);
});

Deno.test("without --json a value is printed as indented JSON", () => {
  const kept = recorder();
  kept.output.result({ version: "v1" });
  assertEquals(kept.stdout, '{\n  "version": "v1"\n}\n');
});

Deno.test("with --json people are still told on stderr", () => {
  const kept = recorder({ json: true });
  kept.output.info("one");
  assertEquals([kept.stdout, kept.stderr], ["", "[INFO] one\n"]);
});

Deno.test("messages scroll above a progress bar, results take it away for a moment", () => {
  const kept = recorder({ isTerminal: true });
  const progress = kept.output.progress("download", 1000);
  kept.output.info("first");
  kept.output.info("second");
  kept.output.result("done");
  const [first, second, bar, ...rest] = kept.shown();
  assertEquals([first, second, rest], ["[INFO] first", "[INFO] second", []]);
  assertMatch(bar ?? "", /^download {2}\[-+\] {3}0%/);
  assertEquals(kept.stdout, "done\n");
  progress.finish();
});
