import { assertEquals, assertLessOrEqual } from "@std/assert";
import { RemoteError } from "../../lib/cli/errors.ts";
import type { JsonObject } from "../../lib/fleet/values.ts";
import { eventually } from "./support/eventually.ts";
import type { FakeEdge } from "./support/fake_gateway.ts";
import { clockedEffects, startTestManager, type TestManager } from "./support/test_manager.ts";

function order(manager: TestManager, body: unknown) {
  return manager.api("POST", "/api/v1/rollouts", { body });
}

/** Waits until the rollout has ended. */
function ended(manager: TestManager, id: unknown): Promise<JsonObject> {
  return eventually(`rollout ${id} ends`, async () => {
    const { body } = await manager.api("GET", `/api/v1/rollouts/${id}`);
    return body.state === "running" ? undefined : body;
  });
}

/** The phase of each edge of a rollout, by name. */
function phases(rollout: JsonObject): Record<string, unknown> {
  const edges = rollout.edges as JsonObject[];
  return Object.fromEntries(edges.map((edge) => [edge.edge_name, edge.phase]));
}

function reasonOf(rollout: JsonObject, name: string): JsonObject {
  const edges = rollout.edges as JsonObject[];
  const { code, reason } = edges.find((edge) => edge.edge_name === name) ?? {};
  return { code, reason };
}

async function addEdges(manager: TestManager, count: number): Promise<FakeEdge[]> {
  const names = Array.from({ length: count }, (_, index) => `edge-${index}`);
  const edges = [];
  for (const name of names) edges.push(await manager.addEdge(name));
  return edges;
}

Deno.test("one order brings every edge to the version", async () => {
  await using manager = await startTestManager();
  const edges = await addEdges(manager, 5);
  const { status, body } = await order(manager, { version: "v2.0.0", edges: "all" });
  assertEquals(status, 202);
  const rollout = await ended(manager, body.id);
  assertEquals([rollout.state, rollout.total, rollout.counts], ["succeeded", 5, { healthy: 5 }]);
  assertEquals(rollout.message, "5 of 5 edges upgraded to v2.0.0");
  assertEquals(edges.map((edge) => edge.version), Array(5).fill("v2.0.0"));
  assertEquals(edges.map((edge) => edge.count("fetch_package")), Array(5).fill(1));
});

Deno.test("an order for the version that is already there says so and does nothing", async () => {
  await using manager = await startTestManager();
  const edges = [await manager.addEdge("a", "v2.0.0"), await manager.addEdge("b", "2.0.0")];
  const { status, body } = await order(manager, { edges: "all" });
  assertEquals([status, body.state], [202, "succeeded"]);
  assertEquals(body.counts, { skipped: 2 });
  assertEquals(body.message, "nothing to do: 2 of 2 edges run v2.0.0");
  assertEquals(edges.flatMap((edge) => edge.calls), []);
  const rollout = await ended(manager, body.id);
  assertEquals(reasonOf(rollout, "b"), { code: "already_current", reason: "already runs 2.0.0" });
});

Deno.test("a fleet goes down to an older version by the same order", async () => {
  await using manager = await startTestManager();
  manager.addBundle("v0.9.0");
  const edges = await addEdges(manager, 2);
  const { body } = await order(manager, { version: "v0.9.0", edges: "all" });
  assertEquals((await ended(manager, body.id)).state, "succeeded");
  assertEquals(edges.map((edge) => edge.version), ["v0.9.0", "v0.9.0"]);
});

Deno.test("edges that fail do not keep the others from the version, and each says why", async () => {
  await using manager = await startTestManager();
  const [good, bad, back] = await addEdges(manager, 3);
  if (good === undefined || bad === undefined || back === undefined) throw new Error("no edges");
  bad.answers.fetch_package = () => {
    throw new RemoteError("get: status 404");
  };
  back.answers.apply_package = () => {
    back.report = { state: "rolled_back", version: "v2.0.0", reason: "exited: exit-code exited 1" };
    queueMicrotask(() => void back.restart("v1.0.0"));
    return { accepted: true };
  };
  const { body } = await order(manager, { edges: "all" });
  const rollout = await ended(manager, body.id);
  assertEquals(rollout.state, "partial_failed");
  assertEquals(phases(rollout), {
    "edge-0": "healthy",
    "edge-1": "failed",
    "edge-2": "rolled_back",
  });
  assertEquals(reasonOf(rollout, "edge-1"), { code: "fetch_failed", reason: "get: status 404" });
  assertEquals(reasonOf(rollout, "edge-2").reason, "exited: exit-code exited 1");
  assertEquals(rollout.message, "1 of 3 edges upgraded to v2.0.0, 2 failed or rolled back");
});

Deno.test("each edge gets the bundle of its own architecture", async () => {
  await using manager = await startTestManager();
  const arm = "b".repeat(64);
  manager.addBundle("v2.0.0", { arch: "linux-arm64", sha256: arm });
  const edge = await manager.enrol("arm");
  edge.host = { hostname: "h", os: "linux", arch: "aarch64" };
  await edge.connect(manager.gateway);
  const { body } = await order(manager, { edges: "all" });
  await ended(manager, body.id);
  assertEquals(edge.calls[0]?.body, {
    url: "http://manager.test/edge/edge-bundle-linux-arm64-v2.0.0.tar.gz",
    sha256: arm,
    version: "v2.0.0",
  });
});

Deno.test("edges that cannot be upgraded are left out by name: unknown architecture, other system, no bundle", async () => {
  await using manager = await startTestManager();
  const hosts = {
    riscv: { os: "linux", arch: "riscv64" },
    mac: { os: "darwin", arch: "arm64" },
    arm: { os: "linux", arch: "arm64" },
  };
  for (const [name, host] of Object.entries(hosts)) {
    const edge = await manager.enrol(name);
    edge.host = host;
    await edge.connect(manager.gateway);
  }
  const { body } = await order(manager, { edges: "all" });
  const rollout = await ended(manager, body.id);
  assertEquals(phases(rollout), { riscv: "skipped", mac: "skipped", arm: "failed" });
  assertEquals(
    reasonOf(rollout, "riscv").reason,
    'unknown architecture "riscv64"; there are bundles for amd64 and arm64',
  );
  assertEquals(reasonOf(rollout, "mac").code, "unsupported_arch");
  assertEquals(reasonOf(rollout, "arm").code, "bundle_unavailable");
});

Deno.test("edges that are not connected are skipped and named", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("gone");
  edge.disconnect();
  await manager.addEdge("here");
  const { body } = await order(manager, { edges: "all" });
  const rollout = await ended(manager, body.id);
  assertEquals(phases(rollout), { gone: "skipped", here: "healthy" });
  assertEquals(reasonOf(rollout, "gone"), { code: "edge_offline", reason: "edge not online" });
  assertEquals(rollout.message, "1 of 2 edges upgraded to v2.0.0, 1 skipped");
  const again = await order(manager, { edges: [2, 1] });
  assertEquals(
    (await ended(manager, again.body.id)).message,
    "0 of 2 edges upgraded to v2.0.0, 1 had it already, 1 skipped",
  );
});

Deno.test("right after the manager's start an edge that is not back yet is waited for", async () => {
  await using manager = await startTestManager({ reconnectMs: 60_000 });
  const edge = await manager.enrol("late");
  const { body } = await order(manager, { edges: "all" });
  const queued = await manager.api("GET", `/api/v1/rollouts/${body.id}`);
  assertEquals(queued.body.counts, { queued: 1 });
  await edge.connect(manager.gateway);
  assertEquals((await ended(manager, body.id)).counts, { healthy: 1 });
});

Deno.test("a clock that was set back does not make a rollout wait for edges for hours", async () => {
  const effects = clockedEffects();
  await using manager = await startTestManager({ effects, reconnectMs: 1 });
  await manager.enrol("absent");
  effects.move(-3_600_000);
  const { body } = await order(manager, { edges: "all" });
  assertEquals((await ended(manager, body.id)).counts, { skipped: 1 });
});

Deno.test("an edge that has connected but not called yet is not called either", async () => {
  await using manager = await startTestManager({ reconnectMs: 0 });
  const edge = await manager.addEdge("a");
  edge.disconnect();
  await edge.attach(manager.gateway);
  const { body } = await order(manager, { edges: "all" });
  assertEquals((await manager.api("GET", `/api/v1/rollouts/${body.id}`)).body.counts, {
    queued: 1,
  });
  assertEquals(edge.calls, []);
  await edge.call("heartbeat", { edge_id: Number(edge.id), ts: 0 });
  assertEquals((await ended(manager, body.id)).counts, { healthy: 1 });
});

Deno.test("a selection touches nobody else, and names each edge once", async () => {
  await using manager = await startTestManager();
  const edges = await addEdges(manager, 3);
  const { body } = await order(manager, { edges: [3, 1, 3] });
  const rollout = await ended(manager, body.id);
  assertEquals(rollout.total, 2);
  assertEquals(edges.map((edge) => edge.version), ["v2.0.0", "v1.0.0", "v2.0.0"]);
});

Deno.test("an order that says nothing clear is refused", async () => {
  await using manager = await startTestManager();
  await addEdges(manager, 1);
  const bad: [unknown, string][] = [
    [{}, 'invalid argument: edges is required: "all" or a list of ids'],
    [{ edges: [] }, "invalid argument: edges must be a list of 1 to 10000 ids"],
    [{ edges: [1, "x"] }, "invalid argument: edges holds something that is no id"],
    [{ edges: [7] }, "invalid argument: unknown edges: 7"],
    [{ edges: "all", version: "../x1" }, "invalid argument: version is not a plain version string"],
    [
      { edges: "all", concurrency: 0 },
      "invalid argument: concurrency must be a whole number from" +
      " 1 to 1000",
    ],
    [{ edges: "all", force: "yes" }, "invalid argument: force must be true or false"],
  ];
  for (const [body, error] of bad) {
    const answer = await order(manager, body);
    assertEquals([answer.status, answer.body.error, answer.body.code], [400, error, "invalid"]);
  }
  const missing = await order(manager, { edges: "all", version: "v9.9.9" });
  assertEquals(
    missing.body.error,
    "invalid argument: resolve bundle: bundle missing: edge-bundle-linux-amd64-v9.9.9.tar.gz " +
      "(installed Edge assets do not contain this architecture/version)",
  );
  assertEquals(missing.body.hint, "Available for linux-amd64: v2.0.0.");
  assertEquals((await manager.api("GET", "/api/v1/rollouts")).body.total, 0);
});

Deno.test("no more edges are in flight at a time than the order allows", async () => {
  await using manager = await startTestManager();
  const edges = await addEdges(manager, 6);
  let inFlight = 0;
  let most = 0;
  for (const edge of edges) {
    const { apply_package: applies } = edge.answers;
    edge.answers.fetch_package = async (body) => {
      most = Math.max(most, ++inFlight);
      // Gives every other worker the chance to begin one too many.
      await new Promise((resolve) => setTimeout(resolve, 2));
      return edge.stage(body);
    };
    edge.answers.apply_package = (body) => {
      inFlight--;
      return applies?.(body) ?? {};
    };
  }
  const { body } = await order(manager, { edges: "all", concurrency: 2 });
  assertEquals((await ended(manager, body.id)).state, "succeeded");
  assertLessOrEqual(most, 2);
});

Deno.test("an edge that another order is upgrading is skipped, never told two versions", async () => {
  await using manager = await startTestManager();
  manager.addBundle("v3.0.0");
  const edge = await manager.addEdge("a");
  const release = Promise.withResolvers<void>();
  edge.answers.fetch_package = async (body) => {
    await release.promise;
    return edge.stage(body);
  };
  const first = await order(manager, { edges: "all" });
  await eventually("fetch_package is called", () => edge.count("fetch_package") || undefined);
  const second = await order(manager, { edges: "all", version: "v3.0.0" });
  const skipped = await ended(manager, second.body.id);
  assertEquals(reasonOf(skipped, "a").code, "in_flight");
  release.resolve();
  assertEquals((await ended(manager, first.body.id)).state, "succeeded");
  assertEquals(edge.count("fetch_package"), 1);
});

Deno.test("a removed edge does not hold up its rollout", async () => {
  await using manager = await startTestManager();
  const [edge] = await addEdges(manager, 2);
  if (edge === undefined) throw new Error("no edge");
  edge.answers.fetch_package = () => new Promise(() => {});
  const { body } = await order(manager, { edges: "all", concurrency: 1 });
  await eventually("fetch_package is called", () => edge.count("fetch_package") || undefined);
  await manager.api("DELETE", `/api/v1/edges/${edge.id}`);
  assertEquals((await ended(manager, body.id)).counts, { healthy: 1 });
});
