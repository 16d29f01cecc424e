import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { systemEffects } from "../../lib/fleet/effects.ts";
import { eventually } from "./support/eventually.ts";
import { startTestManager } from "./support/test_manager.ts";

Deno.test("a database that fails for a moment does not lose an upgrade", async () => {
  const waits: number[] = [];
  await using manager = await startTestManager({
    effects: {
      ...systemEffects,
      // Without the real pauses: what is tried again is tried again at once.
      setTimer: (ms, fire) => {
        waits.push(ms);
        return systemEffects.setTimer(ms > 4_000 && ms < 6_000 ? 1 : ms, fire);
      },
    },
  });
  const edge = await manager.addEdge("a");
  using other = new DatabaseSync(manager.database);
  edge.answers.fetch_package = (body) => {
    other.exec(
      "CREATE TRIGGER broken BEFORE UPDATE ON pushes BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    queueMicrotask(async () => {
      await eventually("a write failed", () => {
        return manager.log.some((line) => line.startsWith("Cannot store")) || undefined;
      });
      other.exec("DROP TRIGGER broken");
    });
    return edge.stage(body);
  };
  const { body } = await manager.api("POST", "/api/v1/rollouts", { body: { edges: "all" } });
  await eventually("the rollout succeeds", async () => {
    const rollout = await manager.api("GET", `/api/v1/rollouts/${body.id}`);
    return rollout.body.state === "succeeded" || undefined;
  });
  assertEquals([edge.count("fetch_package"), edge.count("apply_package")], [1, 1]);
  assertEquals(waits.includes(5_000), true);
});
