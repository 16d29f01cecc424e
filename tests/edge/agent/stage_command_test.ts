import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import {
  asAccount,
  runCommand as runCommandLine,
  userNameOf,
} from "../../../lib/edge/agent/owner.ts";
import { makeBundle } from "./support/bundle.ts";
import { fileAnswer, serveFiles } from "./support/file_server.ts";
import { TestHost } from "./support/host.ts";
import { agentCommand, runCommand } from "./support/service.ts";

const BUNDLE = makeBundle({ version: "v2.0.0" });

/** Writes the bundle, and what its checksum file is to say. */
function writeBundle(host: TestHost, sidecar?: string): string {
  const path = join(host.root, "bundle.tar.gz");
  Deno.writeFileSync(path, BUNDLE.bytes);
  if (sidecar !== undefined) Deno.writeTextFileSync(`${path}.sha256`, sidecar);
  return path;
}

Deno.test("a bundle is staged by hand with the checksum file beside it", async () => {
  using host = new TestHost();
  for (const sidecar of [BUNDLE.sha256, `${BUNDLE.sha256}  bundle.tar.gz\n`]) {
    const { code, stdout, stderr } = await runCommand(host, ["stage", writeBundle(host, sidecar)]);
    assertEquals(code, 0, stderr);
    assertEquals(stdout, `staged v2.0.0 (1 files) in ${host.paths.stage}/incoming\n`);
    assertStringIncludes(stderr, "systemctl restart ongrid-edge");
    assertEquals(host.names(), ["download", "incoming", "ready"]);
  }
});

Deno.test("a wrong checksum stages nothing and says which two differ", async () => {
  using host = new TestHost();
  const path = writeBundle(host);
  const { code, stderr } = await runCommand(host, ["stage", path, "--sha256", "0".repeat(64)]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `sha256 mismatch (got ${BUNDLE.sha256}, want ${"0".repeat(64)})`);
  assertEquals(host.names(), ["download"]);
});

Deno.test("without any checksum nothing is staged", async () => {
  using host = new TestHost();
  const { code, stderr } = await runCommand(host, ["stage", writeBundle(host)]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "bundle.tar.gz.sha256");
  assertStringIncludes(stderr, "--sha256");
  assertEquals(host.names(), []);
});

Deno.test("a sha256 that is none is a mistake of the command line", async () => {
  using host = new TestHost();
  const { code, stderr } = await runCommand(host, ["stage", writeBundle(host), "--sha256", "abc"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "64 hex");
});

Deno.test("a bundle is staged from a mirror with the checksum file that it publishes", async () => {
  using host = new TestHost();
  await using server = serveFiles((asked) =>
    asked.path === "/b.tar.gz"
      ? fileAnswer(asked, BUNDLE.bytes)
      : { body: new TextEncoder().encode(`${BUNDLE.sha256}\n`) }
  );
  const { code, stderr } = await runCommand(host, ["stage", `${server.url}/b.tar.gz`]);
  assertEquals(code, 0, stderr);
  assertEquals(server.seen.map((each) => each.path), ["/b.tar.gz.sha256", "/b.tar.gz"]);
  assertEquals(host.names(), ["download", "incoming", "ready"]);
});

Deno.test("nothing is staged by hand over an upgrade that waits for its verdict", async () => {
  using host = new TestHost();
  host.arm("v1.5.0");
  const path = writeBundle(host, BUNDLE.sha256);
  const { code, stderr } = await runCommand(host, ["stage", path]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "the upgrade to v1.5.0 is not settled yet");
});

Deno.test("status tells what is staged, what is on trial and how the last upgrade ended", async () => {
  using host = new TestHost();
  await runCommand(host, ["stage", writeBundle(host, BUNDLE.sha256)]);
  host.record("rollback.json", {
    format: 1,
    state: "rolled_back",
    version: "v1.9.0",
    rolled_back_at: "2026-02-01T00:00:00Z",
    reason: "never_healthy",
    detail: "exited with 1",
    restored: 2,
  });
  const people = await runCommand(host, ["status"]);
  assertStringIncludes(people.stdout, "ready to apply:  v2.0.0, 1 files");
  assertStringIncludes(people.stdout, "v1.9.0 rolled back 2026-02-01T00:00:00Z: never_healthy");
  const { code, stdout } = await runCommand(host, ["status", "--json"]);
  assertEquals(code, 0);
  const status = JSON.parse(stdout);
  assertEquals(status.ready.bundle_sha256, BUNDLE.sha256);
  assertEquals([status.staged, status.armed, status.unsettled], [null, null, false]);
  assertEquals(status.last_upgrade.state, "rolled_back");
});

Deno.test("the other account's command line is made for what the host has", () => {
  const account = { uid: 990, gid: 991 };
  const lines = (...there: string[]) =>
    asAccount(["ongrid-edge", "stage", "-"], account, {
      userName: "ongrid-edge",
      exists: (path) => there.includes(path),
    });
  assertEquals(lines("/usr/bin/setpriv", "/sbin/runuser"), [
    [
      "/usr/bin/setpriv",
      "--reuid=990",
      "--regid=991",
      "--clear-groups",
      "--",
      "ongrid-edge",
      "stage",
      "-",
    ],
    ["/sbin/runuser", "-u", "ongrid-edge", "--", "ongrid-edge", "stage", "-"],
  ]);
  assertEquals(lines(), []);
  assertEquals(userNameOf(990, "root:x:0:0::/:/bin/sh\nagent:x:990:991::/:/bin/sh\n"), "agent");
  assertEquals(userNameOf(991, "agent:x:990:991::/:/bin/sh\n"), undefined);
});

Deno.test({
  name:
    "as root the bundle is staged by the owner of the state directory, from a file that only root reads",
  ignore: Deno.uid() !== 0 || !runsAs(4000),
  async fn() {
    using host = new TestHost();
    const path = writeBundle(host, BUNDLE.sha256);
    Deno.chmodSync(path, 0o600);
    Deno.chownSync(host.paths.stage, 4000, 4000);
    const cache = join(host.root, "cache");
    Deno.mkdirSync(cache);
    Deno.chownSync(cache, 4000, 4000);
    const { code, stderr } = await runCommand(host, ["stage", path], { DENO_DIR: cache });
    assertEquals(code, 0, stderr);
    assertEquals(host.names(), ["download", "incoming", "ready"]);
    for (const name of ["ready", "incoming", "incoming/ongrid-edge", "agent.lock"]) {
      assertEquals(Deno.lstatSync(join(host.paths.stage, name)).uid, 4000, name);
    }
  },
});

Deno.test({
  name: "a lock that a run as root left behind is told with the command that helps",
  ignore: Deno.uid() !== 0 || !runsAs(4000),
  async fn() {
    using host = new TestHost();
    const path = writeBundle(host, BUNDLE.sha256);
    Deno.chownSync(host.paths.stage, 4000, 4000);
    Deno.writeTextFileSync(join(host.paths.stage, "agent.lock"), "", { mode: 0o600 });
    const cache = join(host.root, "cache");
    Deno.mkdirSync(cache);
    Deno.chownSync(cache, 4000, 4000);
    const { code, stderr } = await runCommand(host, ["stage", path], { DENO_DIR: cache });
    assertEquals(code, 1);
    assertStringIncludes(stderr, `chown -R --reference=${host.paths.stage} ${host.paths.stage}`);
  },
});

Deno.test("a state directory that is a link is not followed", async () => {
  using host = new TestHost();
  Deno.removeSync(host.paths.stage);
  Deno.mkdirSync(join(host.root, "elsewhere"));
  Deno.symlinkSync(join(host.root, "elsewhere"), host.paths.stage);
  const args = ["stage", writeBundle(host, BUNDLE.sha256)];
  const { code, stderr } = await runCommand(host, args);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `hint: Look at it (ls -ld ${host.paths.stage})`);
  assertEquals([...Deno.readDirSync(join(host.root, "elsewhere"))].length, 0);
});

Deno.test("standard input is a source where its sha256 is given", async () => {
  using host = new TestHost();
  const output = await piped(host, ["stage", "-", "--sha256", BUNDLE.sha256]);
  assert(output.success);
  assertEquals(host.names(), ["download", "incoming", "ready"]);
  assertEquals((await piped(host, ["stage", "-"])).code, 2);
});

async function piped(host: TestHost, args: string[]): Promise<Deno.CommandStatus> {
  const child = agentCommand(host, args, {}, "piped").spawn();
  const writer = child.stdin.getWriter();
  await writer.write(BUNDLE.bytes).catch(() => {});
  await writer.close().catch(() => {});
  return await child.output();
}

/** Whether this program can be run as another user from where it is installed. */
function runsAs(uid: number): boolean {
  try {
    return new Deno.Command("/usr/bin/setpriv", {
      args: [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--", Deno.execPath(), "-V"],
    }).outputSync().success;
  } catch {
    return false;
  }
}

Deno.test("a source that is none ends at once and says what can be given", async () => {
  using host = new TestHost();
  const pipe = join(host.root, "pipe");
  new Deno.Command("mkfifo", { args: [pipe] }).outputSync();
  const cases: [string, number, string][] = [
    [pipe, 1, "give - as the source"],
    [host.root, 1, "give - as the source"],
    [join(host.root, "nothing"), 1, "Check the path"],
    ["ftp://mirror/bundle.tar.gz", 2, "http:// or https:// URL"],
    ["http://", 2, "http:// or https:// URL"],
  ];
  for (const [source, exit, hint] of cases) {
    const { code, stderr } = await runCommand(host, ["stage", source, "--sha256", BUNDLE.sha256]);
    assertEquals(code, exit, stderr);
    assertStringIncludes(stderr, hint);
    assertStringIncludes(stderr, source);
  }
});

Deno.test("a bundle that is staged already shows no progress", async () => {
  using host = new TestHost();
  const path = writeBundle(host, BUNDLE.sha256);
  await runCommand(host, ["stage", path]);
  const { code, stderr } = await runCommand(host, ["stage", path]);
  assertEquals(code, 0, stderr);
  assertEquals(stderr.includes("staging"), false, stderr);
});

Deno.test("a checksum over http is taken with a warning", async () => {
  using host = new TestHost();
  await using server = serveFiles((asked) =>
    asked.path === "/b.tar.gz"
      ? fileAnswer(asked, BUNDLE.bytes)
      : { body: new TextEncoder().encode(BUNDLE.sha256) }
  );
  const url = `${server.url}/b.tar.gz`;
  assertStringIncludes((await runCommand(host, ["stage", url])).stderr, "[WARN]");
  const given = await runCommand(host, ["stage", url, "--sha256", BUNDLE.sha256]);
  assertEquals(given.stderr.includes("[WARN]"), false, given.stderr);
});

Deno.test("a program that ends early is not waited for by its input", async () => {
  const endless = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
  assertEquals(await runCommandLine(["/bin/sh", "-c", "exit 7"], endless), 7);
});
