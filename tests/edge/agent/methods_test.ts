import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { OngridError } from "../../../lib/cli/errors.ts";
import { Leave } from "../../../lib/edge/agent/leave.ts";
import { agentMethods } from "../../../lib/edge/agent/methods.ts";
import { statusFlags } from "../../../lib/edge/agent/status_flags.ts";
import { makeBundle, noise, sha256Of } from "./support/bundle.ts";
import { fileAnswer, serveBundle, serveFiles } from "./support/file_server.ts";
import { eventually, quickEffects, TestHost } from "./support/host.ts";

const BUNDLE = makeBundle({ version: "v2.0.0", files: { promtail: noise(50_000) } });

/** The methods of an agent on this host, called as the tunnel calls them. */
function methodsOf(host: TestHost) {
  const effects = quickEffects();
  const leave = new Leave(effects.sleep);
  const stager = host.stager({ effects });
  const methods = agentMethods({ stager, leave, applyGraceMs: 5_000 });
  const call = async (
    method: string,
    body: Record<string, unknown>,
    signal = new AbortController().signal,
  ): Promise<Record<string, unknown>> => {
    const handler = methods[method];
    assert(handler, `no such method: ${method}`);
    const answer = await handler(new TextEncoder().encode(JSON.stringify(body)), { signal });
    return JSON.parse(new TextDecoder().decode(answer));
  };
  return {
    call,
    leave,
    stager,
    [Symbol.dispose]: () => leave.now({ exitCode: 0, reason: "end of the test" }),
  };
}

const fetchOf = (url: string, more: Record<string, unknown> = {}) => ({
  url,
  sha256: BUNDLE.sha256,
  version: "v2.0.0",
  ...more,
});

/** A server that holds a bundle back until it is released. */
function heldServer() {
  const held = Promise.withResolvers<void>();
  const server = serveFiles((asked) => ({
    ...fileAnswer(asked, BUNDLE.bytes),
    holdAfter: 1000,
    until: held.promise,
  }));
  return Object.assign(server, { release: () => held.resolve() });
}

async function textOf(call: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => call, OngridError)).message;
}

Deno.test("a fetched bundle is ready for the next start and answered as managers expect", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  const answer = await agent.call(
    "fetch_package",
    fetchOf(server.bundleUrl, { sha256: BUNDLE.sha256.toUpperCase(), newer_field: 1 }),
  );
  assertEquals(Object.entries(answer), [
    ["staged_path", `${host.paths.stage}/incoming`],
    ["bytes", BUNDLE.bytes.length],
    ["manifest_files", 2],
    ["version", "v2.0.0"],
  ]);
  assertEquals(host.names(), ["download", "incoming", "ready"]);
  const ready = JSON.parse(host.read("ready") ?? "");
  assertEquals([ready.version, ready.bundle_sha256], ["v2.0.0", BUNDLE.sha256]);
});

Deno.test("a fetched bundle that nobody applies is applied by leaving after the grace period", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  await agent.call("fetch_package", fetchOf(server.bundleUrl));
  assertEquals(agent.leave.departure, undefined);
  await eventually("the agent leaves", () => agent.leave.signal.aborted);
  assertEquals(agent.leave.departure?.exitCode, 0);
  assertStringIncludes(agent.leave.departure?.reason ?? "", "v2.0.0");
});

Deno.test("a request to wait keeps the bundle staged until it is applied", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  const answer = await agent.call("fetch_package", fetchOf(server.bundleUrl, { apply: "wait" }));
  assertEquals(answer.staged_path, `${host.paths.stage}/staged`);
  assertEquals(agent.leave.pending, false);
  assertEquals(host.names(), ["download", "staged", "staged.json"]);
  assertEquals(await agent.call("apply_package", {}), { accepted: true });
  assertEquals(host.names(), ["download", "incoming", "ready"]);
  await eventually("the agent leaves", () => agent.leave.signal.aborted);
});

Deno.test("a call that ends early leaves the staging at work; the bundle does not apply itself", async () => {
  using host = new TestHost();
  await using server = heldServer();
  using agent = methodsOf(host);
  const caller = new AbortController();
  const gone = agent.call("fetch_package", fetchOf(server.url), caller.signal);
  await eventually("the download runs", () => server.seen.length === 1);
  caller.abort(new Error("cancelled"));
  assertStringIncludes(await textOf(gone), "the call ended before staging did");
  server.release();
  await eventually("the bundle is staged", () => agent.stager.store.staged());
  assertEquals(host.names(), ["download", "staged", "staged.json"]);
  assertEquals(agent.leave.pending, false);

  const answer = await agent.call("fetch_package", fetchOf(server.url));
  assertEquals(answer.staged_path, `${host.paths.stage}/incoming`);
  assertEquals(host.names(), ["download", "incoming", "ready"]);
  assertEquals(server.seen.length, 1);
  assertEquals(agent.leave.pending, true);
});

Deno.test("a second caller joins the staging that the first one left", async () => {
  using host = new TestHost();
  await using server = heldServer();
  using agent = methodsOf(host);
  const caller = new AbortController();
  const gone = agent.call("fetch_package", fetchOf(server.url), caller.signal);
  await eventually("the download runs", () => server.seen.length === 1);
  caller.abort(new Error("cancelled"));
  await textOf(gone);
  const joined = agent.call("fetch_package", fetchOf(server.url));
  server.release();
  assertEquals((await joined).manifest_files, 2);
  assertEquals(server.seen.length, 1);
});

Deno.test("apply without a bundle is refused in the words that managers know", async () => {
  using host = new TestHost();
  using agent = methodsOf(host);
  assertEquals(
    await textOf(agent.call("apply_package", {})),
    "apply_package: no staged bundle (run fetch_package first)",
  );
  assertEquals(agent.leave.signal.aborted, false);
});

Deno.test("apply goes for the bundle that is meant, where that is said", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  await agent.call("fetch_package", fetchOf(server.bundleUrl, { apply: "wait" }));
  const other = agent.call("apply_package", { sha256: "b".repeat(64) });
  assertStringIncludes(await textOf(other), "no staged bundle");
  assertEquals(await agent.call("apply_package", { sha256: BUNDLE.sha256 }), { accepted: true });
});

Deno.test("a bundle that another agent staged is applied, too", async () => {
  using host = new TestHost();
  using agent = methodsOf(host);
  Deno.mkdirSync(`${host.paths.stage}/incoming`);
  assertEquals(await agent.call("apply_package", {}), { accepted: true });
});

Deno.test("while the agent is about to restart no other bundle is fetched", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  await agent.call("fetch_package", fetchOf(server.bundleUrl));
  const other = agent.call("fetch_package", fetchOf(server.bundleUrl, { sha256: "b".repeat(64) }));
  assertEquals(await textOf(other), "fetch_package: about to restart into v2.0.0");
  assertEquals((await agent.call("fetch_package", fetchOf(server.bundleUrl))).manifest_files, 2);
});

Deno.test("a staged bundle is dropped on request, and the restart with it", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  assertEquals(await agent.call("drop_package", {}), { dropped: false });
  await agent.call("fetch_package", fetchOf(server.bundleUrl));
  assertEquals(await agent.call("drop_package", { sha256: "b".repeat(64) }), { dropped: false });
  assertEquals(agent.leave.pending, true);
  assertEquals(await agent.call("drop_package", {}), { dropped: true });
  assertEquals(agent.leave.pending, false);
  assertEquals(host.names(), ["download"]);
});

Deno.test("dropping ends a staging under way", async () => {
  using host = new TestHost();
  await using server = heldServer();
  using agent = methodsOf(host);
  const fetching = agent.call("fetch_package", fetchOf(server.url));
  await eventually("the download runs", () => server.seen.length === 1);
  const dropping = agent.call("drop_package", {});
  assertStringIncludes(await textOf(fetching), "the bundle was dropped");
  assertEquals(await dropping, { dropped: true });
  server.release();
});

Deno.test("bad requests are refused in the words that managers know", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  const url = server.bundleUrl;
  const refusals: [Record<string, unknown>, string][] = [
    [{ url, sha256: "abc" }, "fetch_package: sha256 must be 64 hex chars (got 3)"],
    [{ url }, "fetch_package: sha256 must be 64 hex chars (got 0)"],
    [{ url, sha256: "g".repeat(64) }, "fetch_package: sha256 not lower-hex"],
    [{ url: "ftp://x/y", sha256: BUNDLE.sha256 }, "fetch_package: url must be http(s)"],
    [{ url: 7, sha256: BUNDLE.sha256 }, "fetch_package: url must be http(s)"],
    [fetchOf(`${server.url}/missing`), "get: status 404"],
    [
      fetchOf(url, { sha256: "0".repeat(64) }),
      `sha256 mismatch (got ${BUNDLE.sha256}, want ${"0".repeat(64)})`,
    ],
  ];
  for (const [body, text] of refusals) {
    assertEquals(await textOf(agent.call("fetch_package", body)), text);
  }
  assertEquals(agent.leave.pending, false);
  assertEquals(host.names(), ["download"]);
  assertEquals(host.names("download").filter((name) => !name.startsWith(BUNDLE.sha256)), []);
});

Deno.test("nothing is fetched over an upgrade that waits for its verdict", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  host.arm("v1.0.0");
  assertEquals(
    await textOf(agent.call("fetch_package", fetchOf(server.bundleUrl))),
    "fetch_package: the upgrade to v1.0.0 is not settled yet",
  );
});

Deno.test("a single-file upgrade leaves the file, then its hash, and the agent leaves", async () => {
  const agentFile = noise(10_000);
  const sha256 = sha256Of(agentFile);
  using host = new TestHost();
  await using server = serveFiles((asked) => fileAnswer(asked, agentFile));
  using agent = methodsOf(host);
  host.write("pending.version", "v0.0.1\n");
  assertEquals(await agent.call("agent_upgrade", { url: server.url, sha256 }), {
    staged_path: `${host.paths.stage}/pending`,
    bytes: agentFile.length,
  });
  assertEquals(host.names(), ["download", "pending", "pending.sha256"]);
  assertEquals(host.read("pending.sha256"), `${sha256}\n`);
  assertEquals(Deno.readFileSync(`${host.paths.stage}/pending`), agentFile);
  await eventually("the agent leaves", () => agent.leave.signal.aborted);
});

Deno.test("heartbeats tell how far an upgrade is, in texts alone", async () => {
  using host = new TestHost();
  await using server = heldServer();
  using agent = methodsOf(host);
  assertEquals(statusFlags(agent.stager), undefined);
  const fetching = agent.call("fetch_package", fetchOf(server.url, { apply: "wait" }));
  const percent = Math.floor(1000 * 100 / BUNDLE.bytes.length);
  await eventually("some bytes came", () => statusFlags(agent.stager)?.upgrade_percent);
  assertEquals(statusFlags(agent.stager), {
    upgrade_phase: "downloading",
    upgrade_version: "v2.0.0",
    upgrade_percent: String(percent),
  });
  server.release();
  await fetching;
  assertEquals(statusFlags(agent.stager), { upgrade_phase: "staged", upgrade_version: "v2.0.0" });
});

Deno.test("nothing is applied while an upgrade waits for its verdict, and what is staged stays", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  await agent.stager.stage({ url: server.bundleUrl, sha256: BUNDLE.sha256, version: undefined });
  host.arm("v1.0.0");
  assertStringIncludes(await textOf(agent.call("apply_package", {})), "is not settled yet");
  assertEquals(agent.leave.signal.aborted, false);
  assertEquals(agent.stager.store.staged()?.version, "v2.0.0");
});

Deno.test("asked to wait after all, a bundle that was about to be applied waits", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  using agent = methodsOf(host);
  await agent.call("fetch_package", fetchOf(server.bundleUrl));
  assertEquals(agent.leave.pending, true);
  await agent.call("fetch_package", fetchOf(server.bundleUrl, { apply: "wait" }));
  assertEquals(agent.leave.pending, false);
});

Deno.test("the length of a sha256 is told in bytes, as existing agents tell it", async () => {
  using host = new TestHost();
  using agent = methodsOf(host);
  const sha256 = "é".repeat(64);
  assertStringIncludes(
    await textOf(agent.call("fetch_package", fetchOf("http://127.0.0.1:1/", { sha256 }))),
    "(got 128)",
  );
});
