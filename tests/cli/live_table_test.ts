import { assertEquals } from "@std/assert";
import { LiveTable } from "../../lib/cli/live_table.ts";
import { recorder } from "./recorder.ts";

Deno.test("on a terminal the rows are redrawn in place", () => {
  const kept = recorder({ isTerminal: true });
  const table = new LiveTable(["EDGE", "VERSION", "STATE"], kept.output);
  table.update([["edge-1", "v1", "idle"], ["edge-2", "v1", "idle"]]);
  table.update([["edge-1", "v2.0.0", "fetching"], ["edge-2", "v1", "idle"]]);
  assertEquals(kept.shown(), [
    "EDGE    VERSION  STATE",
    "edge-1  v2.0.0   fetching",
    "edge-2  v1       idle",
  ]);
  table.finish();
});

Deno.test("a finished table stays, and what follows comes below it", () => {
  const kept = recorder({ isTerminal: true });
  const table = new LiveTable(["EDGE"], kept.output);
  table.update([["edge-1"]]);
  kept.output.info("above");
  table.finish();
  table.finish();
  table.update([["edge-2"]]);
  kept.output.info("below");
  assertEquals(kept.shown(), ["[INFO] above", "EDGE", "edge-1", "[INFO] below"]);
});

Deno.test("a table higher than the terminal is cut while live, and whole at the end", () => {
  const kept = recorder({ isTerminal: true, rows: 5 });
  const table = new LiveTable(["EDGE"], kept.output);
  const rows = Array.from({ length: 9 }, (_, i) => [`edge-${i}`]);
  table.update(rows);
  table.update(rows);
  assertEquals(kept.shown(), ["EDGE", "edge-0", "edge-1", "... and 7 more"]);
  table.finish();
  assertEquals(kept.shown(), ["EDGE", ...rows.flat()]);
});

Deno.test("a line is cut at the right edge, so that the terminal does not wrap it", () => {
  const kept = recorder({ isTerminal: true, columns: 10 });
  const table = new LiveTable(["EDGE", "STATE"], kept.output);
  table.update([["edge-1", "fetching"]]);
  assertEquals(kept.shown(), ["EDGE    S", "edge-1  f"]);
  table.finish();
});

Deno.test("elsewhere a row is printed when it is new or has changed", () => {
  const kept = recorder();
  const table = new LiveTable(["EDGE", "STATE"], kept.output);
  table.update([["edge-1", "idle"], ["edge-2", "idle"]]);
  table.update([["edge-2", "idle"], ["edge-1", "fetching"]]);
  table.update([["edge-2", "idle"], ["edge-1", "fetching"]]);
  table.finish();
  assertEquals(kept.stderr.split("\n"), [
    "[INFO] edge-1  idle",
    "[INFO] edge-2  idle",
    "[INFO] edge-1  fetching",
    "",
  ]);
});

Deno.test("control characters and newlines in a cell do not break the table", () => {
  const kept = recorder({ isTerminal: true });
  const table = new LiveTable(["EDGE", "REASON"], kept.output);
  table.update([["edge\x1b[2J", "line one\nline two"]]);
  assertEquals(kept.shown(), ["EDGE     REASON", "edge[2J  line one line two"]);
  table.finish();
});
