import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ROOT_STATE } from "../../../lib/edge/paths.ts";
import { makeBundle } from "./support/bundle.ts";
import { fileAnswer, serveBundle, serveFiles } from "./support/file_server.ts";
import { eventually, quickEffects, TEST_VERSION, TestHost } from "./support/host.ts";
import { KEYS, startManager } from "./support/manager.ts";
import { startService } from "./support/service.ts";

const BUNDLE = makeBundle({ version: "v2.0.0" });

Deno.test("an accepted agent has introduced itself, registered and marked itself healthy", async () => {
  using host = new TestHost();
  host.record(ROOT_STATE.settled, { format: 1, version: TEST_VERSION, settled_at: "2026-01-01" });
  await using manager = await startManager();
  await using service = startService(host, manager.port);
  await eventually("the marker", () => host.read("healthy_marker"));
  assertEquals(manager.metas, ['{"access_key":"AK1","secret_key":"SK1"}']);
  const [register] = manager.bodies("register_edge");
  assertEquals(Object.keys(register ?? {}), [
    "access_key",
    "secret_key",
    "host_info",
    "agent_version",
    "upgrade",
  ]);
  assertEquals([register?.access_key, register?.secret_key], ["", ""]);
  assertEquals(register?.agent_version, TEST_VERSION);
  assertEquals(register?.upgrade, { state: "settled", version: TEST_VERSION, at: "2026-01-01" });
  assertEquals(host.read("healthy_marker"), `${TEST_VERSION}\n`);
  assertEquals(service.log, [`info: connected to 127.0.0.1:${manager.port} as edge 7`]);
});

Deno.test("a wrong secret is named once, tried again slowly, and never marked healthy", async () => {
  using host = new TestHost();
  await using manager = await startManager();
  const waits: number[] = [];
  const quick = quickEffects();
  await using service = startService(host, manager.port, {
    config: { secretKey: "wrong" },
    effects: {
      ...quick,
      sleep: (milliseconds, signal) => {
        waits.push(milliseconds);
        return quick.sleep(Math.min(milliseconds, 1000), signal);
      },
    },
  });
  await eventually("three attempts", () => manager.metas.length >= 3);
  assertEquals(service.log.length, 1, service.log.join("\n"));
  assertStringIncludes(service.log[0] ?? "", "unauthorized");
  assertStringIncludes(service.log[0] ?? "", "ONGRID_EDGE_SECRET_KEY");
  assertEquals(host.read("healthy_marker"), undefined);
  const attempts = waits.filter((each) => each >= 10_000 && each < 600_000);
  assert(
    attempts.length >= 2 && attempts.every((each) => each >= 30_000 && each <= 60_000),
    `${waits}`,
  );
});

Deno.test("heartbeats carry the manager's id with every digit", async () => {
  using host = new TestHost();
  const edgeId = 18446744073709551615n;
  await using manager = await startManager({ edgeId });
  await using _service = startService(host, manager.port);
  const beat = await eventually(
    "a heartbeat",
    () => manager.calls.find((call) => call.method === "heartbeat"),
  );
  assertStringIncludes(beat.text, `{"edge_id":${edgeId},"ts":`);
});

Deno.test("a manager that has forgotten the edge gets it registered again on the same connection", async () => {
  using host = new TestHost();
  await using manager = await startManager({
    answer: (method, number) => {
      if (method !== "heartbeat" || number > 1) return undefined;
      throw new Error("heartbeat: edge binding not ready; re-register required");
    },
  });
  await using _service = startService(host, manager.port);
  await eventually("it registers again", () => manager.bodies("register_edge").length === 2);
  await eventually("it goes on", () => manager.bodies("heartbeat").length === 2);
  assertEquals(manager.metas.length, 1);
});

Deno.test("an edge that is not known at all comes back over a new connection", async () => {
  using host = new TestHost();
  await using manager = await startManager({
    answer: (method, number) => {
      if (method !== "register_edge" || number > 1) return undefined;
      throw new Error("register_edge: get edge: not found");
    },
  });
  await using service = startService(host, manager.port);
  await eventually("the marker", () => host.read("healthy_marker"));
  assertEquals(manager.metas.length, 2);
  assertStringIncludes(service.log[0] ?? "", "register_edge: get edge: not found");
});

Deno.test("heartbeats that fail three times in a row end the connection", async () => {
  using host = new TestHost();
  await using manager = await startManager({
    answer: (method, number) => {
      if (method !== "heartbeat" || number > 3) return undefined;
      throw new Error("internal");
    },
  });
  await using service = startService(host, manager.port);
  await eventually("a second connection", () => manager.metas.length === 2);
  assertEquals(service.log.filter((line) => line.startsWith("warn: heartbeat failed")).length, 2);
  assert(service.log.some((line) => line.includes("lost the manager")), service.log.join("\n"));
});

Deno.test("a manager that restarts is found again, and each state is logged once", async () => {
  using host = new TestHost();
  const first = await startManager();
  await using service = startService(host, first.port);
  await eventually("connected", () => first.bodies("register_edge").length === 1);
  await first[Symbol.asyncDispose]();
  await eventually(
    "it sees the loss",
    () => service.log.some((line) => line.includes("cannot connect")),
  );
  await using second = await startManager({ port: first.port });
  await eventually("connected again", () => second.bodies("register_edge").length === 1);
  await eventually("and said so", () => service.log.length >= 4);
  const states = service.log.map((line) => /^\w+: \w+ \w+/.exec(line)?.[0]);
  assertEquals(states, [
    "info: connected to",
    "warn: lost the",
    "warn: cannot connect",
    "info: connected to",
  ]);
});

Deno.test("fetch and apply end the agent with exit 0 after the answer has arrived", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  await using manager = await startManager();
  await using service = startService(host, manager.port);
  await eventually("registered", () => manager.bodies("register_edge").length === 1);
  const fetched = await manager.call("fetch_package", {
    url: server.bundleUrl,
    sha256: BUNDLE.sha256,
    version: "v2.0.0",
  });
  assertEquals(fetched.manifest_files, 1);
  assertEquals(await manager.call("apply_package", {}), { accepted: true });
  assertEquals(await service.exit, 0);
  assertEquals(host.names(), ["download", "healthy_marker", "incoming", "ready"]);
  await eventually("it said goodbye", () => !manager.online());
});

Deno.test("a cancelled fetch does not apply itself; asked again it is applied", async () => {
  using host = new TestHost();
  const held = Promise.withResolvers<void>();
  await using server = serveFiles((asked) => ({
    ...fileAnswer(asked, BUNDLE.bytes),
    holdAfter: 10,
    until: held.promise,
  }));
  await using manager = await startManager();
  await using service = startService(host, manager.port);
  await eventually("registered", () => manager.bodies("register_edge").length === 1);
  const request = { url: server.url, sha256: BUNDLE.sha256, version: "v2.0.0" };
  const caller = new AbortController();
  const cancelled = manager.call("fetch_package", request, caller.signal).then(
    () => "answered",
    () => "cancelled",
  );
  await eventually("the download runs", () => server.seen.length === 1);
  caller.abort(new Error("browser gone"));
  assertEquals(await cancelled, "cancelled");
  held.resolve();
  await eventually("it is staged", () => host.read("staged.json"));
  assertEquals(host.read("ready"), undefined);
  assertEquals((await manager.call("fetch_package", request)).bytes, BUNDLE.bytes.length);
  assertEquals(server.seen.length, 1);
  assertEquals(await service.exit, 0);
  assert(host.read("ready"));
});

Deno.test("an upgrade that no manager accepts writes its verdict and exits 75", async () => {
  using host = new TestHost();
  host.arm(TEST_VERSION);
  await using manager = await startManager();
  await using service = startService(host, manager.port, {
    config: { secretKey: "wrong", probationMs: 20_000 },
  });
  assertEquals(await service.exit, 75);
  const verdict = host.read("verdict") ?? "";
  assertStringIncludes(verdict, `${TEST_VERSION} was not accepted by a manager within 20s`);
  assertStringIncludes(verdict, "unauthorized");
  assertEquals(host.read("healthy_marker"), undefined);
});

Deno.test("an upgrade that is accepted in time stays", async () => {
  using host = new TestHost();
  host.arm(TEST_VERSION);
  host.write("verdict", "of an earlier start\n");
  await using manager = await startManager();
  await using service = startService(host, manager.port, { config: { probationMs: 60_000 } });
  await eventually(
    "more than the period has passed",
    () => manager.bodies("heartbeat").length >= 3,
  );
  assertEquals(host.read("healthy_marker"), `${TEST_VERSION}\n`);
  assertEquals(host.read("verdict"), undefined);
  assertEquals(manager.bodies("register_edge")[0]?.upgrade, {
    state: "armed",
    version: TEST_VERSION,
  });
  assert(service.log[0]?.includes("on probation"), service.log[0]);
});

Deno.test("without probation an unaccepted upgrade goes on trying", async () => {
  using host = new TestHost();
  host.arm(TEST_VERSION);
  await using manager = await startManager();
  await using _service = startService(host, manager.port, {
    config: { secretKey: "wrong", probationMs: 0 },
  });
  await eventually("it tries", () => manager.metas.length >= 2);
  assertEquals(host.read("verdict"), undefined);
});

Deno.test("a state directory that cannot be written does not keep the agent from its manager", async () => {
  using host = new TestHost();
  Deno.removeSync(host.paths.stage);
  Deno.writeTextFileSync(host.paths.stage, "in the way");
  await using manager = await startManager();
  await using service = startService(host, manager.port);
  await eventually("registered", () => manager.bodies("register_edge").length === 1);
  await eventually("both are said", () => service.log.length >= 3);
  assertStringIncludes(service.log.join("\n"), "cannot prepare the state directory");
  assertStringIncludes(service.log.join("\n"), "cannot write the health marker");
});

Deno.test("with a CA the tunnel is encrypted, and only to a manager that the CA vouches for", async () => {
  using host = new TestHost();
  const { cert, key } = JSON.parse(
    Deno.readTextFileSync(new URL("support/tls.json", import.meta.url)),
  );
  await using manager = await startManager({ tls: { cert, key } });
  await using service = startService(host, manager.port, {
    config: { hostname: "localhost", ca: cert },
  });
  await eventually("registered", () => manager.bodies("register_edge").length === 1);
  assertEquals(manager.metas, [JSON.stringify(KEYS)]);
  service.stop();
  assertEquals(await service.exit, 0);
});
