import { assertEquals, assertMatch } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type { JsonObject } from "../../lib/fleet/values.ts";
import { eventually } from "./support/eventually.ts";
import type { FakeEdge } from "./support/fake_gateway.ts";
import { startTestManager, type TestManager } from "./support/test_manager.ts";

/** Edges take their time to come back after the manager's start. */
const PATIENT = { reconnectMs: 60_000 };

async function order(manager: TestManager): Promise<unknown> {
  const { body } = await manager.api("POST", "/api/v1/rollouts", { body: { edges: "all" } });
  return body.id;
}

function ended(manager: TestManager, id: unknown): Promise<JsonObject> {
  return eventually(`rollout ${id} ends`, async () => {
    const { body } = await manager.api("GET", `/api/v1/rollouts/${id}`);
    return body.state === "running" ? undefined : body;
  });
}

/** Starts a rollout, waits until the edge has got `method`, and stops the manager there. */
async function stopAfter(manager: TestManager, edge: FakeEdge, method: string): Promise<unknown> {
  const id = await order(manager);
  await eventually(`${method} is called`, () => edge.count(method) || undefined);
  await manager.stop();
  return id;
}

Deno.test("an edge that has been told to restart is not told again by the next manager", async () => {
  await using manager = await startTestManager(PATIENT);
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => ({ accepted: true });
  const id = await order(manager);
  await eventually("the edge is restarting", async () => {
    return (await manager.lastUpgrade(edge)).phase === "restarting" || undefined;
  });
  await manager.stop();
  await manager.start();
  assertEquals((await manager.lastUpgrade(edge)).phase, "restarting");
  edge.version = "v2.0.0";
  await edge.connect(manager.gateway);
  assertEquals((await ended(manager, id)).counts, { healthy: 1 });
  assertEquals([edge.count("fetch_package"), edge.count("apply_package")], [1, 1]);
});

Deno.test("an edge that upgraded while no manager ran is healthy without another word", async () => {
  await using manager = await startTestManager(PATIENT);
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => new Promise(() => {});
  const id = await stopAfter(manager, edge, "apply_package");
  await manager.start();
  edge.version = "v2.0.0";
  await edge.connect(manager.gateway);
  assertEquals((await ended(manager, id)).counts, { healthy: 1 });
  assertEquals([edge.count("fetch_package"), edge.count("apply_package")], [1, 1]);
});

Deno.test("an edge that rolled back while no manager ran is named with its reason", async () => {
  await using manager = await startTestManager(PATIENT);
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => new Promise(() => {});
  const id = await stopAfter(manager, edge, "apply_package");
  await manager.start();
  edge.report = { state: "rolled_back", version: "v2.0.0", reason: "never_healthy: no manager" };
  await edge.connect(manager.gateway);
  const rollout = await ended(manager, id);
  const [push] = rollout.edges as JsonObject[];
  assertEquals([push?.phase, push?.reason], ["rolled_back", "never_healthy: no manager"]);
  assertEquals([edge.count("fetch_package"), edge.count("apply_package")], [1, 1]);
});

Deno.test("a manager that is killed has stored what it told before it told it", async () => {
  await using manager = await startTestManager(PATIENT);
  const edge = await manager.addEdge("a");
  const states: unknown[] = [];
  const killedAt = async (method: string) => {
    await using next = manager.copyOfState();
    await next.start();
    const { phase, phases } = await next.lastUpgrade(edge);
    states.push([method, phase, (phases as unknown[]).length]);
  };
  edge.answers.fetch_package = async (body) => {
    await killedAt("fetch_package");
    return edge.stage(body);
  };
  edge.answers.apply_package = async () => {
    await killedAt("apply_package");
    return { accepted: true };
  };
  await order(manager);
  await eventually("the edge is restarting", async () => {
    return (await manager.lastUpgrade(edge)).phase === "restarting" || undefined;
  });
  assertEquals(states, [["fetch_package", "fetching", 1], ["apply_package", "staged", 2]]);
  await using next = manager.copyOfState();
  await next.start();
  edge.version = "v2.0.0";
  await edge.connect(next.gateway);
  await eventually("the next manager sees it healthy", async () => {
    return (await next.lastUpgrade(edge)).phase === "healthy" || undefined;
  });
  assertEquals([edge.count("fetch_package"), edge.count("apply_package")], [1, 1]);
});

Deno.test("an edge that was staging joins in again, and is told to apply once", async () => {
  await using manager = await startTestManager(PATIENT);
  const edge = await manager.addEdge("a");
  edge.answers.fetch_package = () => new Promise(() => {});
  const id = await stopAfter(manager, edge, "fetch_package");
  edge.answers.fetch_package = (body) => edge.stage(body);
  await manager.start();
  await edge.connect(manager.gateway);
  assertEquals((await ended(manager, id)).counts, { healthy: 1 });
  assertEquals(edge.count("apply_package"), 1);
  assertEquals(edge.version, "v2.0.0");
});

Deno.test("edges that had finished and edges still queued each get the version exactly once", async () => {
  await using manager = await startTestManager(PATIENT);
  const done = await manager.addEdge("done");
  const stuck = await manager.addEdge("stuck");
  const queued = await manager.addEdge("queued");
  stuck.answers.apply_package = () => ({ accepted: true });
  const { body } = await manager.api("POST", "/api/v1/rollouts", {
    body: { edges: "all", concurrency: 1 },
  });
  await eventually("the second edge is told", () => stuck.count("apply_package") || undefined);
  await manager.stop();
  assertEquals(queued.calls, []);
  await manager.start();
  stuck.version = "v2.0.0";
  for (const edge of [done, stuck, queued]) await edge.connect(manager.gateway);
  assertEquals((await ended(manager, body.id)).counts, { healthy: 3 });
  for (const edge of [done, stuck, queued]) {
    assertEquals([edge.count("fetch_package"), edge.count("apply_package")], [1, 1]);
  }
});

Deno.test("a push of one edge that a stopped manager left is finished, too", async () => {
  await using manager = await startTestManager(PATIENT);
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => new Promise(() => {});
  const pushed = manager.api("POST", `/api/v1/edges/${edge.id}/upgrade-package`);
  await eventually("apply_package is called", () => edge.count("apply_package") || undefined);
  await manager.stop();
  assertEquals((await pushed).status, 200);
  await manager.start();
  edge.version = "v2.0.0";
  await edge.connect(manager.gateway);
  await eventually("the push ends", async () => {
    return (await manager.lastUpgrade(edge)).phase === "healthy" || undefined;
  });
});

Deno.test("a manager that was stopped before it told a single edge says so in its history", async () => {
  await using manager = await startTestManager(PATIENT);
  const edge = await manager.addEdge("a");
  await manager.stop();
  using other = new DatabaseSync(manager.database);
  other.exec(
    `INSERT INTO pushes (edge_id, edge_name, from_version, target_version, phase, phases,
       created_by, created_at) VALUES (1, 'a', 'v1.0.0', 'v2.0.0', 'queued', '[]', '', 0)`,
  );
  await manager.start();
  const last = await manager.lastUpgrade(edge);
  assertEquals([last.phase, last.code], ["failed", "interrupted"]);
});

Deno.test("every edge is offline until it connects to the new manager", async () => {
  await using manager = await startTestManager(PATIENT);
  const edge = await manager.addEdge("a");
  const status = async () => (await manager.api("GET", `/api/v1/edges/${edge.id}`)).body.status;
  assertEquals(await status(), "online");
  await manager.stop();
  await manager.start();
  assertEquals(await status(), "offline");
  await edge.connect(manager.gateway);
  assertEquals(await status(), "online");
});

Deno.test("tokens and accounts outlive a restart, and nobody is made administrator twice", async () => {
  await using manager = await startTestManager(PATIENT);
  await manager.stop();
  await manager.start();
  assertEquals((await manager.api("GET", "/api/v1/edges")).status, 200);
  assertEquals(manager.adminPassword, undefined);
  assertMatch(await manager.login(), /^[\w-]{43}$/);
});
