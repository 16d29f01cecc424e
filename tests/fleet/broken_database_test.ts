import { assert, assertEquals, assertRejects } from "@std/assert";
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

Deno.test("a database that another program holds locked makes nobody wait twice", async () => {
  await using manager = await startTestManager();
  for (const name of ["a", "b", "c", "d"]) await manager.addEdge(name);
  using other = new DatabaseSync(manager.database);
  other.exec("BEGIN IMMEDIATE");
  const begin = performance.now();
  for (let attempt = 0; attempt < 3; attempt++) {
    const body = { name: "x" };
    assertEquals((await manager.api("POST", "/api/v1/edges", { body })).status, 500);
  }
  await manager.stop();
  assert(performance.now() - begin < 5_000);
  assertEquals(manager.gateway.edges.size, 0);
  other.exec("ROLLBACK");
  await manager.start();
  const { body } = await manager.api("GET", "/api/v1/edges?status=online");
  assertEquals(body.total, 0);
});

Deno.test("an edge is not told why the database failed, the log is", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  using other = new DatabaseSync(manager.database);
  other.exec("CREATE TRIGGER no BEFORE UPDATE ON edges BEGIN SELECT RAISE(ABORT, 'tables'); END");
  const message = "internal error; the manager's log says more";
  const error = await assertRejects(() => edge.call("heartbeat", { ts: 1 }), Error, message);
  assertEquals(error.message, message);
  const line = `Cannot answer heartbeat of edge ${edge.id}: The database failed: tables`;
  assertEquals(manager.log.filter((entry) => entry === line).length, 1);
});

Deno.test("an edge whose connection could not be stored does not count as connected", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  edge.disconnect();
  {
    using other = new DatabaseSync(manager.database);
    other.exec("CREATE TRIGGER no BEFORE UPDATE ON edges BEGIN SELECT RAISE(ABORT, 'no'); END");
    await assertRejects(() => edge.attach(manager.gateway));
    other.exec("DROP TRIGGER no");
  }
  const { handlers } = manager.gateway;
  const signal = new AbortController().signal;
  await assertRejects(
    () => handlers.call(edge.id, "heartbeat", new Uint8Array(0), { signal }),
    Error,
    "edge binding not ready",
  );
});
