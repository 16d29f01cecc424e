import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ProtocolError, RemoteError } from "../../lib/cli/errors.ts";
import type { JsonObject } from "../../lib/fleet/values.ts";
import { eventually } from "./support/eventually.ts";
import type { FakeEdge } from "./support/fake_gateway.ts";
import { FAST_SETTINGS, startTestManager, type TestManager } from "./support/test_manager.ts";

const SHA256 = "a".repeat(64);

function push(manager: TestManager, edge: { id: bigint }, body?: JsonObject) {
  return manager.api("POST", `/api/v1/edges/${edge.id}/upgrade-package`, { body });
}

/** Waits until the newest upgrade of the edge has ended in `phase`. */
function ended(manager: TestManager, edge: FakeEdge, phase: string): Promise<JsonObject> {
  return eventually(`upgrade ends ${phase}`, async () => {
    const last = await manager.lastUpgrade(edge);
    return last.finished_at !== null && last.phase === phase ? last : undefined;
  });
}

Deno.test("an edge is sent the bundle with its checksum, and is healthy once it registers with the version", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const { status, body } = await push(manager, edge);
  assertEquals(status, 200);
  assertEquals(body, {
    version: "v2.0.0",
    staged_path: "/s/incoming",
    bytes: 7,
    manifest_files: 3,
    applied: true,
    push_id: 1,
  });
  const last = await ended(manager, edge, "healthy");
  assertEquals(edge.calls, [
    {
      method: "fetch_package",
      body: {
        url: "http://manager.test/edge/edge-bundle-linux-amd64-v2.0.0.tar.gz",
        sha256: SHA256,
        version: "v2.0.0",
      },
    },
    { method: "apply_package", body: {} },
  ]);
  assertEquals([last.from_version, last.observed_version], ["v1.0.0", "v2.0.0"]);
  assertEquals(
    (last.phases as { phase: string }[]).map(({ phase }) => phase),
    ["fetching", "staged", "restarting", "healthy"],
  );
});

Deno.test("an edge that rolled back is named with the reason it reports", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => {
    edge.report = { state: "rolled_back", version: "v2.0.0", reason: "never_healthy: exit 1" };
    queueMicrotask(() => void edge.restart("v1.0.0"));
    return { accepted: true };
  };
  assertEquals((await push(manager, edge)).status, 200);
  const last = await ended(manager, edge, "rolled_back");
  assertEquals(last.reason, "never_healthy: exit 1");
  const { body } = await manager.api("GET", `/api/v1/edges/${edge.id}`);
  const outcome = body.last_upgrade as JsonObject;
  assertEquals([outcome.state, outcome.version, outcome.reason], [
    "rolled_back",
    "v2.0.0",
    "never_healthy: exit 1",
  ]);
});

Deno.test("an edge that comes back old without a reason is named as such", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => {
    queueMicrotask(() => void edge.restart("v1.0.0"));
    return { accepted: true };
  };
  await push(manager, edge);
  const last = await ended(manager, edge, "rolled_back");
  assertMatch(String(last.reason), /^came back with v1\.0\.0 and gave no reason/);
  assertEquals(last.code, "version_mismatch");
});

Deno.test("a bundle the hook refused is a failure with the hook's reason", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => {
    edge.report = { state: "refused", version: "v2.0.0", reason: "refused: line 3: sha mismatch" };
    queueMicrotask(() => void edge.restart("v1.0.0"));
    return { accepted: true };
  };
  await push(manager, edge);
  assertEquals((await ended(manager, edge, "failed")).reason, "refused: line 3: sha mismatch");
});

Deno.test("a report of an earlier rollback does not end a push that has only begun", async () => {
  await using manager = await startTestManager();
  const edge = await manager.enrol("a");
  edge.report = { state: "rolled_back", version: "v2.0.0", reason: "yesterday", at: "2026-01-01" };
  await edge.connect(manager.gateway);
  let fetches = 0;
  edge.answers.fetch_package = (body) => {
    if (++fetches > 1) return edge.stage(body);
    queueMicrotask(() => void edge.restart("v1.0.0"));
    return new Promise(() => {});
  };
  edge.answers.apply_package = () => {
    edge.report = undefined;
    queueMicrotask(() => void edge.restart(edge.staged));
    return { accepted: true };
  };
  assertEquals((await push(manager, edge)).status, 200);
  await ended(manager, edge, "healthy");
  assertEquals(fetches, 2);
});

Deno.test("an answer to apply_package that is lost as the agent exits is no failure", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => {
    queueMicrotask(() => void edge.restart(edge.staged));
    return new Promise(() => {});
  };
  const { status, body } = await push(manager, edge);
  assertEquals([status, body.applied], [200, true]);
  await ended(manager, edge, "healthy");
  assertEquals(edge.count("apply_package"), 1);
});

Deno.test("an edge that may not have heard apply_package is asked again before it is judged", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const applies = edge.answers.apply_package;
  edge.answers.apply_package = () => {
    edge.answers.apply_package = applies ?? (() => ({}));
    queueMicrotask(() => void edge.restart("v1.0.0"));
    return new Promise(() => {});
  };
  await push(manager, edge);
  await ended(manager, edge, "healthy");
  assertEquals(edge.count("apply_package"), 2);
  assertEquals(edge.count("fetch_package"), 1);
});

Deno.test("a call that the broker's limit ended is made again until the edge answers", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const failures: unknown[] = [
    new ProtocolError("timeout", { kind: "timeout" }),
    new RemoteError("timeout"),
    new RemoteError("stream: context deadline exceeded"),
    new RemoteError("fetch_package: the call ended before staging did: x; ask again to join it"),
  ];
  edge.answers.fetch_package = (body) => {
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    return edge.stage(body);
  };
  assertEquals((await push(manager, edge)).status, 200);
  await ended(manager, edge, "healthy");
  assertEquals(edge.count("fetch_package"), 5);
});

Deno.test("a method that an edge registers a moment late is called again", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  let early = 3;
  edge.answers.fetch_package = (body) => {
    if (early-- > 0) throw new RemoteError("no such rpc: fetch_package");
    return edge.stage(body);
  };
  assertEquals((await push(manager, edge)).status, 200);
});

Deno.test("an edge that never knows the method fails with its text", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  delete edge.answers.fetch_package;
  const { status, body } = await push(manager, edge);
  assertEquals(status, 500);
  assertStringIncludes(String(body.error), "no such rpc: fetch_package");
});

Deno.test("a failed fetch_package answers 500 with the edge's own text; the next attempt works", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const text = `sha256 mismatch (got ${"b".repeat(64)}, want ${SHA256})`;
  const stages = edge.answers.fetch_package;
  edge.answers.fetch_package = () => {
    throw new RemoteError(text);
  };
  const { status, body } = await push(manager, edge);
  assertEquals(status, 500);
  assertEquals(body, {
    error: `fetch_package: frontierbound: call "fetch_package" edge=1 transport=1: ${text}`,
    code: "internal",
  });
  assertEquals((await ended(manager, edge, "failed")).reason, text);
  if (stages !== undefined) edge.answers.fetch_package = stages;
  assertEquals((await push(manager, edge)).status, 200);
  await ended(manager, edge, "healthy");
});

Deno.test("an edge that is not connected answers 500 as the existing manager does", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  edge.disconnect();
  const { status, body } = await push(manager, edge);
  assertEquals(status, 500);
  assertEquals(
    body.error,
    'fetch_package: frontierbound: call "fetch_package" edge=1 transport=1: edge not online',
  );
});

Deno.test("a refused apply_package answers 202 with what was staged", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const text = "apply_package: no staged bundle (run fetch_package first)";
  edge.answers.apply_package = () => {
    throw new RemoteError(text);
  };
  const { status, body } = await push(manager, edge);
  assertEquals(status, 202);
  assertEquals([body.applied, body.manifest_files, body.version], [false, 3, "v2.0.0"]);
  assertEquals(
    body.apply_error,
    `frontierbound: call "apply_package" edge=1 transport=1: ${text}`,
  );
});

Deno.test("an edge that already runs the version is left alone and says so; force pushes it", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a", "2.0.0");
  const { status, body } = await push(manager, edge);
  assertEquals(status, 200);
  assertEquals([body.version, body.applied, body.already_current], ["2.0.0", false, true]);
  assertEquals(edge.calls, []);
  assertEquals((await push(manager, edge, { force: true })).body.applied, true);
  await ended(manager, edge, "healthy");
  assertEquals(edge.count("apply_package"), 1);
});

Deno.test("downgrading is the same call with an older version", async () => {
  await using manager = await startTestManager();
  manager.addBundle("v0.9.0");
  const edge = await manager.addEdge("a");
  const { body } = await push(manager, edge, { version: "0.9.0" });
  assertEquals(body.version, "v0.9.0");
  await ended(manager, edge, "healthy");
  assertEquals(edge.version, "v0.9.0");
});

Deno.test("a second push while one is under way is a conflict", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const release = Promise.withResolvers<void>();
  edge.answers.fetch_package = async (body) => {
    await release.promise;
    return edge.stage(body);
  };
  const first = push(manager, edge);
  await eventually("fetch_package is called", () => edge.count("fetch_package") || undefined);
  const { status, body } = await push(manager, edge);
  assertEquals([status, body.code], [409, "conflict"]);
  release.resolve();
  assertEquals((await first).status, 200);
  assertEquals(edge.count("fetch_package"), 1);
});

Deno.test("an edge that does not come back in time is timed out and says so", async () => {
  await using manager = await startTestManager({ settings: { ...FAST_SETTINGS, verifyMs: 30 } });
  const edge = await manager.addEdge("a");
  edge.answers.apply_package = () => {
    queueMicrotask(() => edge.disconnect());
    return { accepted: true };
  };
  await push(manager, edge);
  const last = await ended(manager, edge, "timed_out");
  assertMatch(String(last.reason), /did not register again within/);
});

Deno.test("removing an edge ends its connection, its upgrade and its credentials", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  edge.answers.fetch_package = () => new Promise(() => {});
  const pushed = push(manager, edge);
  await eventually("fetch_package is called", () => edge.count("fetch_package") || undefined);
  assertEquals((await manager.api("DELETE", `/api/v1/edges/${edge.id}`)).status, 204);
  const { status, body } = await pushed;
  assertEquals([status, body.error], [404, `edge ${edge.id}: removed while it was being upgraded`]);
  assertEquals(manager.gateway.edges.size, 0);
  let refusal: unknown;
  await edge.connect(manager.gateway).catch((e) => refusal = e);
  assertEquals(String(refusal), "OngridError: unauthorized");
});
