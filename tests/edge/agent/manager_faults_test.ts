import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { eventually, quickEffects, TEST_VERSION, TestHost } from "./support/host.ts";
import { startManager } from "./support/manager.ts";
import { startService } from "./support/service.ts";

Deno.test("heartbeats go on where the state directory cannot be read", async () => {
  using host = new TestHost();
  Deno.removeSync(host.paths.stage);
  Deno.writeTextFileSync(host.paths.stage, "in the way");
  await using manager = await startManager();
  await using _service = startService(host, manager.port);
  await eventually("heartbeats", () => manager.bodies("heartbeat").length >= 2);
  assertEquals(manager.metas.length, 1);
});

Deno.test("what a manager says is logged and judged by in one bounded line", async () => {
  using host = new TestHost();
  host.arm(TEST_VERSION);
  await using manager = await startManager({
    answer: () => {
      throw new Error(`bad\n[ERROR] forged \x1b[31m${"z".repeat(100_000)}`);
    },
  });
  await using service = startService(host, manager.port, { config: { probationMs: 20_000 } });
  assertEquals(await service.exit, 75);
  for (const line of [...service.log, (host.read("verdict") ?? "").trimEnd()]) {
    assert(line.length < 1000, `${line.length} characters`);
    assertEquals(line.includes("\n") || line.includes("\x1b"), false, line);
  }
  assertStringIncludes(host.read("verdict") ?? "", "bad [ERROR] forged");
});

Deno.test("two hosts with one key do not turn each other out faster and faster", async () => {
  using host = new TestHost();
  const waits: number[] = [];
  const quick = quickEffects();
  await using manager = await startManager({
    answer: (method) => {
      if (method !== "heartbeat") return undefined;
      throw new Error("mismatch clientID");
    },
  });
  await using _service = startService(host, manager.port, {
    effects: {
      ...quick,
      sleep: (milliseconds, signal) => {
        if (milliseconds !== 30_000) waits.push(milliseconds);
        return quick.sleep(Math.min(milliseconds, 2000), signal);
      },
    },
  });
  await eventually("five connections", () => manager.metas.length >= 5);
  // Half to all of 1, 2, 4 and 8 s.
  assertEquals(waits.filter((each) => each >= 500 && each < 10_000).slice(0, 4), [
    750,
    1500,
    3000,
    6000,
  ]);
});
