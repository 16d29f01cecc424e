import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { VERSION } from "../../../lib/cli/version.ts";
import { makeBundle, noise } from "./support/bundle.ts";
import { fileAnswer, serveBundle, serveFiles } from "./support/file_server.ts";
import { eventually, TestHost } from "./support/host.ts";
import { startManager, type TestManager } from "./support/manager.ts";
import { runCommand, serviceEnv, startProcess } from "./support/service.ts";

const BUNDLE = makeBundle({ version: "v2.0.0", files: { promtail: noise(3_000_000) } });
const REQUEST = { sha256: BUNDLE.sha256, version: "v2.0.0" };

async function registered(manager: TestManager): Promise<void> {
  await eventually("registered", () => manager.bodies("register_edge").length > 0);
}

async function ended(child: Deno.ChildProcess): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await child.output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("the version is printed alone, in the same letters by flag and command", async () => {
  using host = new TestHost();
  for (const args of [["--version"], ["version"]]) {
    assertEquals(await runCommand(host, args), { code: 0, stdout: `${VERSION}\n`, stderr: "" });
  }
});

Deno.test("a wrong configuration ends with exit 2, the variable and the file", async () => {
  using host = new TestHost();
  const { code, stdout, stderr } = await runCommand(host, []);
  assertEquals([code, stdout], [2, ""]);
  assertStringIncludes(stderr, "ONGRID_EDGE_CLOUD_ADDR is not set");
  assertStringIncludes(stderr, "/etc/ongrid-edge/ongrid-edge.env");
});

Deno.test("an upgraded agent ends with exit 0, and its staged bundle waits for the next start", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  await using manager = await startManager();
  const child = startProcess(host, manager.port);
  await registered(manager);
  const answer = await manager.call("fetch_package", { ...REQUEST, url: server.bundleUrl });
  assertEquals(answer.version, "v2.0.0");
  assertEquals(await manager.call("apply_package", {}), { accepted: true });
  const { code, stderr } = await ended(child);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "asked to apply v2.0.0");
  assertEquals(host.names(), ["download", "healthy_marker", "incoming", "ready"]);
  assertEquals(host.read("healthy_marker"), `${VERSION}\n`);
});

Deno.test("SIGTERM ends the agent within two seconds, in the middle of a download too", async () => {
  using host = new TestHost();
  const held = Promise.withResolvers<void>();
  await using server = serveFiles((asked) => ({
    ...fileAnswer(asked, BUNDLE.bytes),
    holdAfter: 100_000,
    until: held.promise,
  }));
  await using manager = await startManager();
  const child = startProcess(host, manager.port);
  await registered(manager);
  const fetching = manager.call("fetch_package", { ...REQUEST, url: server.url }).catch(String);
  await eventually("the download runs", () => server.seen.length === 1);
  const before = performance.now();
  child.kill("SIGTERM");
  const { code, stderr } = await ended(child);
  const took = performance.now() - before;
  assertEquals(code, 0, stderr);
  assert(took < 2_000, `${Math.round(took)} ms`);
  await fetching;
  held.resolve();
});

Deno.test("an agent killed in the middle of a download resumes it at the next push", async () => {
  using host = new TestHost();
  const held = Promise.withResolvers<void>();
  await using server = serveFiles((asked, number) => {
    const answer = fileAnswer(asked, BUNDLE.bytes);
    return number === 1 ? { ...answer, holdAfter: 1_000_000, until: held.promise } : answer;
  });
  await using manager = await startManager();
  const killed = startProcess(host, manager.port);
  await registered(manager);
  const fetching = manager.call("fetch_package", { ...REQUEST, url: server.url }).catch(String);
  const part = `${host.paths.stage}/download/${BUNDLE.sha256}.part`;
  await eventually("some bytes are there", () => sizeOf(part) >= 500_000);
  killed.kill("SIGKILL");
  await killed.output();
  await fetching;
  held.resolve();
  // What the killed one may also leave: a tree half unpacked.
  Deno.mkdirSync(`${host.paths.stage}/incoming.partial`);

  const next = startProcess(host, manager.port);
  await eventually("it came back", () => manager.bodies("register_edge").length === 2);
  assert(!host.names().includes("incoming.partial"));
  const answer = await manager.call("fetch_package", { ...REQUEST, url: server.url });
  assertEquals(answer.bytes, BUNDLE.bytes.length);
  assertEquals(server.seen.length, 2);
  assert((server.seen[1]?.offset ?? 0) >= 500_000, `${server.seen[1]?.offset}`);
  await manager.call("apply_package", {});
  const { code, stderr } = await ended(next);
  assertEquals(code, 0, stderr);
  assertEquals(host.names(), ["download", "healthy_marker", "incoming", "ready"]);
});

Deno.test("an upgrade that nobody accepts ends with exit 75", async () => {
  using host = new TestHost();
  host.arm(VERSION);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const { code, stderr } = await runCommand(host, [], {
    ...serviceEnv(port),
    ONGRID_EDGE_UPGRADE_PROBATION: "200ms",
  });
  assertEquals(code, 75, stderr);
  assertStringIncludes(host.read("verdict") ?? "", "was not accepted by a manager within 200ms");
});

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
