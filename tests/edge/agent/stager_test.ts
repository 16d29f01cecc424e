import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { describeError, InvalidBundleError, OngridError } from "../../../lib/cli/errors.ts";
import { tryAcquireLock } from "../../../lib/fs/lock.ts";
import { makeBundle, noise } from "./support/bundle.ts";
import { fileAnswer, serveBundle, serveFiles } from "./support/file_server.ts";
import { quickEffects, TestHost } from "./support/host.ts";

const BUNDLE = makeBundle({ version: "v2.0.0", files: { promtail: noise(100_000) } });

const request = (url: string, changes: { sha256?: string; version?: string } = {}) => ({
  url,
  sha256: BUNDLE.sha256,
  version: undefined,
  ...changes,
});

/** A server that answers nobody before `release()`. */
function heldServer(bundle = BUNDLE) {
  const held = Promise.withResolvers<void>();
  const server = serveFiles((asked) => ({
    ...fileAnswer(asked, bundle.bytes),
    holdAfter: 1000,
    until: held.promise,
  }));
  return Object.assign(server, { release: () => held.resolve() });
}

Deno.test("a bundle is downloaded, verified and staged, and its download is gone", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  const record = await host.stager().stage(request(server.bundleUrl));
  assertEquals(
    [record.version, record.bundle_sha256, record.bytes, record.manifest_files],
    ["v2.0.0", BUNDLE.sha256, BUNDLE.bytes.length, 2],
  );
  assertEquals(host.names(), ["download", "staged", "staged.json"]);
  assertEquals(host.names("download"), []);
  assertEquals(host.names("staged"), ["MANIFEST.txt", "VERSION", "ongrid-edge", "promtail"]);
});

Deno.test("a second request for the same bundle joins, one for another is refused", async () => {
  using host = new TestHost();
  await using server = heldServer();
  const stager = host.stager();
  const first = stager.stage(request(server.url));
  const second = stager.stage(request(server.url));
  const other = await assertRejects(
    () => stager.stage(request(server.url, { sha256: "b".repeat(64) })),
    OngridError,
  );
  assertStringIncludes(other.message, "busy staging");
  server.release();
  assertEquals(await first, await second);
  assertEquals(server.seen.length, 1);
});

Deno.test("a bundle that is staged already is not downloaded again", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  const first = await host.stager().stage(request(server.bundleUrl));
  const next = host.stager();
  assertEquals(await next.stage(request(server.bundleUrl)), first);
  next.promote(BUNDLE.sha256);
  assertEquals(await next.stage(request(server.bundleUrl)), first);
  assertEquals(server.seen.length, 1);
});

Deno.test("a bundle that is wrong inside is refused and leaves what was staged before", async () => {
  using host = new TestHost();
  await using good = serveBundle(BUNDLE);
  await host.stager().stage(request(good.bundleUrl));
  const lies = makeBundle({ version: "v3.0.0", agentSha256: "c".repeat(64) });
  await using server = serveBundle(lies);
  const stager = host.stager();
  const error = await assertRejects(
    () => stager.stage(request(server.bundleUrl, { sha256: lies.sha256 })),
    InvalidBundleError,
  );
  assertStringIncludes(error.message, "manifest: ");
  assertEquals(host.names(), ["download", "staged", "staged.json"]);
  assertEquals(host.names("download"), []);
  assertEquals(stager.store.staged()?.version, "v2.0.0");
});

Deno.test("a truncated bundle is refused, and the next push of the whole one works", async () => {
  using host = new TestHost();
  await using server = serveFiles((asked, number) => {
    const cut = number === 1 ? BUNDLE.bytes.subarray(0, 5000) : BUNDLE.bytes;
    return fileAnswer(asked, cut);
  });
  const stager = host.stager();
  const error = await assertRejects(() => stager.stage(request(server.url)), InvalidBundleError);
  assertStringIncludes(error.message, `want ${BUNDLE.sha256}`);
  assertEquals((await stager.stage(request(server.url))).version, "v2.0.0");
});

Deno.test("a bundle of another version than was said is refused; a v and case do not matter", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  const stager = host.stager();
  const error = await assertRejects(
    () => stager.stage(request(server.bundleUrl, { version: "v2.0.1" })),
    InvalidBundleError,
  );
  assertEquals(error.message, "the bundle is version v2.0.0, not v2.0.1 as was said");
  assertEquals(host.names(), ["download"]);
  assertEquals(
    (await stager.stage(request(server.bundleUrl, { version: "2.0.0" }))).version,
    "v2.0.0",
  );
});

Deno.test("nothing is staged over an upgrade that waits for its verdict", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  const stager = host.stager();
  host.arm("v1.0.0");
  const error = assertThrows(() => stager.stage(request(server.bundleUrl)), OngridError);
  assertEquals(error.message, "the upgrade to v1.0.0 is not settled yet");
  host.write("healthy_marker", "v1.0.0\n");
  assertEquals((await stager.stage(request(server.bundleUrl))).version, "v2.0.0");
});

Deno.test("two processes never stage at the same time", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  const stager = host.stager();
  using lock = tryAcquireLock(join(host.paths.stage, "agent.lock"));
  const error = await assertRejects(() => stager.stage(request(server.bundleUrl)), OngridError);
  assertStringIncludes(error.message, "another staging");
  lock?.release();
  assertEquals((await stager.stage(request(server.bundleUrl))).version, "v2.0.0");
});

Deno.test("an aborted staging keeps what it has downloaded, nothing else", async () => {
  using host = new TestHost();
  await using server = heldServer();
  const stager = host.stager();
  const staging = stager.stage(request(server.url));
  assertEquals(stager.progress?.phase, "downloading");
  assertEquals(await stager.abort("the bundle was dropped"), true);
  const error = await assertRejects(() => staging, OngridError);
  assertStringIncludes(describeError(error).message, "the bundle was dropped");
  assertEquals(host.names(), ["download"]);
  assertEquals(await stager.abort("again"), false);
  server.release();
});

Deno.test("a bundle that an operator brings is staged the same way", async () => {
  using host = new TestHost();
  const stager = host.stager();
  const stream = () => ReadableStream.from([BUNDLE.bytes.slice(0, 999), BUNDLE.bytes.slice(999)]);
  const wrong = await assertRejects(
    () => stager.stageStream(stream(), "d".repeat(64)),
    InvalidBundleError,
  );
  assertEquals(wrong.message, `sha256 mismatch (got ${BUNDLE.sha256}, want ${"d".repeat(64)})`);
  assertEquals(host.names("download"), []);
  assertEquals((await stager.stageStream(stream(), BUNDLE.sha256)).version, "v2.0.0");
  assertEquals(host.names(), ["download", "staged", "staged.json"]);
});

Deno.test("what lies in the place of a download is neither read nor written through", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  const download = join(host.paths.stage, "download");
  const part = join(download, `${BUNDLE.sha256}.part`);
  const victim = join(host.root, "victim");
  Deno.mkdirSync(download);
  const traps = [
    () => void new Deno.Command("mkfifo", { args: [part] }).outputSync(),
    () => Deno.symlinkSync(victim, part),
    () => Deno.linkSync(victim, part),
    () => Deno.mkdirSync(join(part, "deep"), { recursive: true }),
  ];
  for (const trap of traps) {
    Deno.writeTextFileSync(victim, "mine");
    trap();
    const stager = host.stager();
    await stager.stage(request(server.bundleUrl));
    assertEquals(stager.drop(), ["v2.0.0"]);
    assertEquals(Deno.readTextFileSync(victim), "mine");
    assertEquals(host.names("download"), []);
  }
});

Deno.test("a bundle that an operator brings leaves no copy behind when it cannot be staged", async () => {
  using host = new TestHost();
  const now = () => {
    throw new OngridError("the disk is full");
  };
  const stager = host.stager({ effects: quickEffects({ now }) });
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      controller.enqueue(BUNDLE.bytes);
      controller.close();
    },
  });
  await assertRejects(() => stager.stageStream(stream, BUNDLE.sha256), OngridError, "disk is full");
  assertEquals(host.names("download"), []);
});

Deno.test("nothing is dropped while another process stages", async () => {
  using host = new TestHost();
  await using server = serveBundle(BUNDLE);
  const stager = host.stager();
  await stager.stage(request(server.bundleUrl));
  using _lock = tryAcquireLock(join(host.paths.stage, "agent.lock"));
  assertThrows(() => stager.drop(), OngridError, "another staging is under way");
  assertEquals(host.stager().store.staged()?.version, "v2.0.0");
});
