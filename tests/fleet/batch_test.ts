import { assertEquals, assertLessOrEqual } from "@std/assert";
import { RemoteError } from "../../lib/cli/errors.ts";
import type { JsonObject } from "../../lib/fleet/values.ts";
import { startTestManager, type TestManager } from "./support/test_manager.ts";

async function batch(manager: TestManager, body: unknown) {
  const path = "/api/v1/edges/batch/upgrade-package";
  const answer = await manager.api("POST", path, { body });
  return { ...answer, results: (answer.body.results ?? []) as JsonObject[] };
}

Deno.test("a batch answers for every edge in the order asked, each once", async () => {
  await using manager = await startTestManager();
  const fails = await manager.addEdge("fails");
  await manager.addEdge("works");
  await manager.addEdge("current", "v2.0.0");
  const refuses = await manager.addEdge("refuses");
  fails.answers.fetch_package = () => {
    throw new RemoteError("get: status 500");
  };
  refuses.answers.apply_package = () => {
    throw new RemoteError("apply_package: no staged bundle (run fetch_package first)");
  };
  const { status, body, results } = await batch(manager, { ids: [3, 2, 1, 2, 99, 4, 3] });
  assertEquals(status, 200);
  assertEquals([body.total, body.succeeded, body.failed], [5, 2, 3]);
  assertEquals(results, [
    { id: 3, ok: true, version: "v2.0.0", already_current: true },
    { id: 2, ok: true, version: "v2.0.0", manifest_files: 3, applied: true },
    {
      id: 1,
      ok: false,
      error: 'fetch_package: frontierbound: call "fetch_package" edge=1 transport=1: ' +
        "get: status 500",
      code: "internal",
    },
    { id: 99, ok: false, error: "edge 99: not found", code: "not-found" },
    {
      id: 4,
      ok: false,
      error: 'staged but apply failed: frontierbound: call "apply_package" edge=4 transport=4: ' +
        "apply_package: no staged bundle (run fetch_package first)",
      code: "internal",
      version: "v2.0.0",
      manifest_files: 3,
    },
  ]);
});

Deno.test("a batch holds 1 to 500 edges", async () => {
  await using manager = await startTestManager();
  const ids = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  assertEquals((await batch(manager, { ids: ids(500) })).body.total, 500);
  for (const bad of [{}, { ids: [] }, { ids: ids(501) }, { ids: "1" }, { ids: [0] }]) {
    const { status, body } = await batch(manager, bad);
    assertEquals([status, body.code], [400, "invalid"]);
  }
});

Deno.test("a batch tells eight edges at a time", async () => {
  await using manager = await startTestManager();
  let now = 0;
  let most = 0;
  for (let index = 0; index < 20; index++) {
    const edge = await manager.addEdge(`edge-${index}`);
    edge.answers.fetch_package = async (body) => {
      most = Math.max(most, ++now);
      // Gives the others the chance to begin one too many.
      await new Promise((resolve) => setTimeout(resolve, 2));
      now--;
      return edge.stage(body);
    };
  }
  const ids = Array.from({ length: 20 }, (_, index) => index + 1);
  const { body } = await batch(manager, { ids });
  assertEquals(body.succeeded, 20);
  assertLessOrEqual(most, 8);
});

Deno.test("numbers beyond what a double holds stay the ids they are", async () => {
  await using manager = await startTestManager();
  const { results } = await batch(manager, '{"ids":[9007199254740993,9007199254740992]}');
  assertEquals(results.map(({ id }) => id), ["9007199254740993", "9007199254740992"]);
});
