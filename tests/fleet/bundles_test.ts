import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { JsonObject } from "../../lib/fleet/values.ts";
import { startTestManager, type TestManager } from "./support/test_manager.ts";

const FILE = "edge-bundle-linux-amd64-v2.0.0.tar.gz";

async function push(manager: TestManager, body: JsonObject = {}) {
  const { status, body: answer } = await manager.api("POST", "/api/v1/edges/1/upgrade-package", {
    body,
  });
  return { status, error: answer.error, code: answer.code };
}

Deno.test("a missing bundle is named, with the versions there are", async () => {
  await using manager = await startTestManager();
  await manager.addEdge("a");
  assertEquals(await push(manager, { version: "v1.2.3" }), {
    status: 400,
    error: "invalid argument: resolve bundle: bundle missing: " +
      "edge-bundle-linux-amd64-v1.2.3.tar.gz " +
      "(installed Edge assets do not contain this architecture/version)",
    code: "invalid",
  });
});

Deno.test("a manager without a bundle directory answers 501", async () => {
  await using manager = await startTestManager();
  await manager.addEdge("a");
  Deno.removeSync(manager.bundles, { recursive: true });
  const answers = [
    await manager.api("POST", "/api/v1/edges/1/upgrade-package"),
    await manager.api("POST", "/api/v1/rollouts", { body: { edges: "all" } }),
    await manager.api("GET", "/api/v1/edge-bundles"),
  ];
  assertEquals(answers.map(({ status, body }) => [status, body.code]), [
    [501, "not-wired-yet"],
    [501, "not-wired-yet"],
    [501, "not-wired-yet"],
  ]);
});

Deno.test("a manager that does not know its own URL answers 501", async () => {
  await using manager = await startTestManager({
    publicUrl: undefined,
    http: { hostname: "0.0.0.0", port: 0 },
  });
  const edge = await manager.addEdge("a");
  const { status, error } = await push(manager);
  assertEquals([status, error], [501, "publicURL not configured; cannot build bundle URL"]);
  assertEquals(edge.calls, []);
});

Deno.test("a manager on one address is its own URL, a slash at the end of a given one is dropped", async () => {
  await using own = await startTestManager({ publicUrl: undefined });
  const edge = await own.addEdge("a");
  await push(own);
  assertEquals(edge.calls[0]?.body.url, `${own.url}/edge/${FILE}`);
  await using given = await startTestManager({ publicUrl: "https://m.example.com/x/" });
  const other = await given.addEdge("a");
  await push(given);
  assertEquals(other.calls[0]?.body.url, `https://m.example.com/x/edge/${FILE}`);
});

Deno.test("a checksum file that is missing or broken stops the push before anything is sent", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const sidecar = join(manager.bundles, `${FILE}.sha256`);
  const broken = ["", "too short", "z".repeat(64), `${"a".repeat(63)}g  x`];
  for (const text of broken) {
    Deno.writeTextFileSync(sidecar, text);
    const { status, error, code } = await push(manager);
    assertEquals([status, code], [400, "invalid"]);
    const expected = `invalid argument: resolve bundle: bundle sha file invalid: ${FILE}.sha256: `;
    assertEquals(String(error).slice(0, expected.length), expected);
    assertEquals(String(error).includes(manager.directory), false);
  }
  Deno.removeSync(sidecar);
  assertEquals((await push(manager)).status, 400);
  Deno.mkdirSync(sidecar);
  assertEquals((await push(manager)).status, 400);
  Deno.removeSync(sidecar);
  assertEquals(edge.calls, []);
  Deno.writeTextFileSync(sidecar, `${"A".repeat(64)}  ${FILE}\n`);
  assertEquals((await push(manager)).status, 200);
  assertEquals(edge.calls[0]?.body.sha256, "a".repeat(64));
});

Deno.test("an empty version means the manager's own, and v may be left out", async () => {
  await using manager = await startTestManager();
  manager.addBundle("1.5.0");
  await manager.addEdge("a");
  const first = await manager.api("POST", "/api/v1/edges/1/upgrade-package", { body: {} });
  assertEquals(first.body.version, "v2.0.0");
  await manager.addEdge("b");
  const second = await manager.api("POST", "/api/v1/edges/2/upgrade-package", {
    body: { version: "v1.5.0" },
  });
  assertEquals(second.body.version, "1.5.0");
});

Deno.test("an architecture that is not the host's is refused, its other names are not", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const refused = await push(manager, { arch: "linux-arm64" });
  assertEquals(refused, {
    status: 400,
    error: "invalid argument: arch does not fit edge 1, which is linux-amd64",
    code: "invalid",
  });
  assertEquals(edge.calls, []);
  assertEquals((await push(manager, { arch: "x86_64" })).status, 200);
});

Deno.test("a host that no bundle is made for is named", async () => {
  await using manager = await startTestManager();
  const edge = await manager.enrol("a");
  edge.host = { hostname: "h", os: "linux", arch: "mips" };
  await edge.connect(manager.gateway);
  assertEquals(
    (await push(manager)).error,
    'invalid argument: edge 1: unknown architecture "mips"; there are bundles for amd64 and arm64',
  );
  edge.host = { hostname: "h", os: "windows", arch: "amd64" };
  await edge.register();
  assertEquals(
    (await push(manager)).error,
    'invalid argument: edge 1: its operating system is "windows"; bundles are for linux only',
  );
});

Deno.test("an edge that never registered has no device to choose a bundle for", async () => {
  await using manager = await startTestManager();
  await manager.enrol("a");
  assertEquals(await push(manager), {
    status: 400,
    error: "invalid argument: edge 1 is not linked to a host device",
    code: "invalid",
  });
});

Deno.test("the catalogue lists what can be sent, and why the rest cannot", async () => {
  await using manager = await startTestManager();
  manager.addBundle("v10.0.0");
  manager.addBundle("v9.0.0", { arch: "linux-arm64" });
  Deno.removeSync(join(manager.bundles, "edge-bundle-linux-arm64-v9.0.0.tar.gz.sha256"));
  Deno.writeTextFileSync(join(manager.bundles, "edge-bundle-linux-mips-v1.tar.gz"), "");
  Deno.writeTextFileSync(join(manager.bundles, "other.txt"), "");
  const { body } = await manager.api("GET", "/api/v1/edge-bundles");
  assertEquals(body.manager_version, "v2.0.0");
  const items = body.items as JsonObject[];
  assertEquals(items.map(({ arch, available }) => [arch, available]), [
    ["linux-amd64", true],
    ["linux-arm64", false],
  ]);
  assertEquals([items[0]?.bytes, items[0]?.sha256], [13, "a".repeat(64)]);
  const bundles = body.bundles as JsonObject[];
  assertEquals(bundles.map(({ version, available }) => [version, available]), [
    ["v2.0.0", true],
    ["v9.0.0", false],
    ["v10.0.0", true],
  ]);
  assertEquals(
    bundles[1]?.error,
    "bundle sha file invalid: edge-bundle-linux-arm64-v9.0.0.tar.gz.sha256: file is missing",
  );
});
