import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CANONICAL_ROOTS } from "../../lib/bundle/manifest.ts";
import { stageBundle, type StageProgress } from "../../lib/bundle/stage.ts";
import { InvalidBundleError, OngridError } from "../../lib/cli/errors.ts";
import { makeBundle, sha256Hex } from "../support/bundle_fixture.ts";
import { concat, END, entry, gzip, latin1 } from "../support/raw_tar.ts";
import { runBehind } from "./other_process.ts";
import {
  AGENT,
  contentsOf,
  listing,
  manifestLine,
  Sandbox,
  soundEntries,
  VERSION,
  withEntries,
} from "./stage_support.ts";

const modeOf = (path: string) => (Deno.lstatSync(path).mode ?? 0) & 0o7777;

Deno.test("a built bundle is staged as it was built", async () => {
  using sandbox = new Sandbox();
  const bundle = await makeBundle({ dir: sandbox.dir, version: "v0.7.160" });
  const staged = await stageBundle({
    tarball: bundle.path,
    sha256: bundle.sha256.toUpperCase(),
    version: "v0.7.160",
    arch: "linux-amd64",
    roots: CANONICAL_ROOTS,
    dir: sandbox.staged,
  });
  assertEquals(staged.version, "v0.7.160");
  assertEquals(staged.bytes, bundle.bytes);
  assertEquals(staged.manifestFiles, 8);
  assertEquals(staged.manifestSha256, bundle.manifestSha256);
  assertEquals(staged.manifest.arch, "linux-amd64");
  for (const [name, content] of bundle.contents) {
    assertEquals(Deno.readFileSync(`${sandbox.staged}/${name}`), content);
    assertEquals(modeOf(`${sandbox.staged}/${name}`), 0o755, name);
  }
  const names = [...Deno.readDirSync(sandbox.staged)].map(({ name }) => name).sort();
  assertEquals(names, [...bundle.contents.keys(), "MANIFEST.txt", "VERSION"].sort());
  assertEquals(modeOf(sandbox.staged), 0o755);
  assertEquals(modeOf(`${sandbox.staged}/VERSION`), 0o644);
});

Deno.test("files of many chunks arrive whole", async () => {
  using sandbox = new Sandbox();
  const content = new Uint8Array(5 * 1024 * 1024 + 7);
  for (let at = 0; at < content.length; at += 65_536) {
    crypto.getRandomValues(content.subarray(at, at + 65_536));
  }
  const dir = sandbox.dir;
  const bundle = await makeBundle({
    dir,
    version: VERSION,
    contents: { promtail: content, "ongrid-edge": AGENT },
  });
  await sandbox.stage(Deno.readFileSync(bundle.path));
  assertEquals(sha256Hex(Deno.readFileSync(`${sandbox.staged}/promtail`)), sha256Hex(content));
});

Deno.test("another sha256 is refused before anything is unpacked", async () => {
  using sandbox = new Sandbox();
  const phases = new Set<string>();
  await sandbox.refuses(withEntries(), "sha256 mismatch (got ", {
    sha256: "0".repeat(64),
    onProgress: ({ phase }) => phases.add(phase),
  });
  assertEquals([...phases], ["verify"]);
});

Deno.test("a sha256 that is none is refused", async () => {
  using sandbox = new Sandbox();
  for (const sha256 of ["", "a".repeat(63), "z".repeat(64)]) {
    await sandbox.refuses(withEntries(), "sha256 must be 64 hex chars", { sha256 });
  }
});

Deno.test("a hash computed during the download saves the reading, not the comparison", async () => {
  using sandbox = new Sandbox();
  const bytes = withEntries();
  const phases = new Set<string>();
  await sandbox.stage(bytes, {
    verifiedSha256: sha256Hex(bytes),
    onProgress: ({ phase }) => phases.add(phase),
  });
  assertEquals([...phases], ["unpack"]);
  Deno.removeSync(sandbox.staged, { recursive: true });
  await sandbox.refuses(bytes, "sha256 mismatch", { verifiedSha256: "0".repeat(64) });
});

Deno.test("a tarball that changes after it was verified is refused", async () => {
  using sandbox = new Sandbox();
  const other = withEntries(entry({ name: "more" }, "more"));
  const sha256 = sha256Hex(withEntries());
  await sandbox.refuses(other, "sha256 mismatch", { sha256, verifiedSha256: sha256 });
});

Deno.test("another version than the one asked for is refused", async () => {
  using sandbox = new Sandbox();
  await sandbox.refuses(withEntries(), "version mismatch", { version: "v1.2.4" });
  await sandbox.refuses(withEntries(), "version mismatch", { version: "1.2.3" });
  await sandbox.stage(withEntries(), { version: VERSION });
});

Deno.test("a bundle for another architecture is refused, an undeclared one is not", async () => {
  using sandbox = new Sandbox();
  const dir = sandbox.dir;
  const { path } = await makeBundle({ dir, version: VERSION, arch: "linux-arm64" });
  const arm = Deno.readFileSync(path);
  await sandbox.refuses(arm, 'declares arch "linux-arm64"', { arch: "linux-amd64" });
  await sandbox.stage(withEntries(), { arch: "linux-amd64" });
});

Deno.test("destinations are judged by the directories of this host", async () => {
  using sandbox = new Sandbox();
  const manifest = `${sha256Hex(AGENT)} 755 ongrid-edge /opt/edge/bin/ongrid-edge\n`;
  const bytes = gzip(concat(soundEntries(manifest), END));
  await sandbox.refuses(bytes, "outside the managed directories");
  const roots = { bin: "/opt/edge/bin", lib: "/opt/edge/lib" };
  const staged = await sandbox.stage(bytes, { roots });
  assertEquals(staged.manifest.entries[0]?.target, "/opt/edge/bin/ongrid-edge");
});

Deno.test("what the manifest does not name is removed, with a warning", async () => {
  using sandbox = new Sandbox();
  const warnings: string[] = [];
  const extras = contentsOf({
    "promtail.yaml": "x",
    "a/b/c": "x",
    "d/e": "x",
    "MANIFEST.txt.minisig": "s",
  });
  const bytes = withEntries(extras, entry({ name: "empty/", type: "5" }));
  await sandbox.stage(bytes, { onWarning: (message) => warnings.push(message) });
  const names = [...Deno.readDirSync(sandbox.staged)].map(({ name }) => name).sort();
  assertEquals(names, ["MANIFEST.txt", "MANIFEST.txt.minisig", "VERSION", "ongrid-edge"]);
  assertEquals(warnings.length, 3);
  assertStringIncludes(warnings[0] ?? "", '"promtail.yaml"');
});

Deno.test("directories in a bundle are kept where the manifest names files in them", async () => {
  using sandbox = new Sandbox();
  const manifest = `${sha256Hex("x")} 0700 lib/sub/tool /usr/local/bin/tool\n`;
  const bytes = contentsOf({ "MANIFEST.txt": manifest, VERSION, "lib/sub/tool": "x" });
  await sandbox.stage(gzip(concat(bytes, END)));
  assertEquals(modeOf(`${sandbox.staged}/lib/sub`), 0o755);
  assertEquals(modeOf(`${sandbox.staged}/lib/sub/tool`), 0o700);
});

Deno.test("modes come from the manifest, whatever the archive and the umask say", async () => {
  using sandbox = new Sandbox();
  const manifest = ["0644 a", "0500 b", "777 c", "000 d"]
    .map((fields) => `${sha256Hex("x")} ${fields} /usr/local/bin/${fields.slice(-1)}\n`).join("");
  const entries = ["a", "b", "c", "d"].map((name) => entry({ name, mode: "0006777" }, "x"));
  const own = contentsOf({ "MANIFEST.txt": manifest, VERSION });
  const bytes = gzip(concat(own, ...entries, END));
  Deno.writeFileSync(sandbox.tarball, bytes);
  const { tarball, staged: dir } = sandbox;
  const stage = { tarball, sha256: sha256Hex(bytes), roots: CANONICAL_ROOTS, dir };
  assertEquals(await runBehind("umask 077", { stage }), "done");
  const modes = ["a", "b", "c", "d"].map((name) => modeOf(`${sandbox.staged}/${name}`));
  assertEquals(modes, [0o644, 0o500, 0o777, 0]);
  assertEquals(modeOf(sandbox.staged), 0o755);
});

Deno.test("several gzip members and zeros behind them are accepted", async () => {
  using sandbox = new Sandbox();
  const archive = concat(soundEntries(), END);
  const members = [0, 100, 700, archive.length].map((from, i, all) =>
    gzip(archive.slice(from, all[i + 1]))
  );
  // Zeros of several chunks, so that some arrive when unpacking has ended.
  await sandbox.stage(concat(...members, new Uint8Array(3 << 20)));
  assertEquals(Deno.readTextFileSync(`${sandbox.staged}/ongrid-edge`), AGENT);
});

Deno.test("a directory that is there already is neither used nor removed", async () => {
  using sandbox = new Sandbox();
  Deno.mkdirSync(sandbox.staged);
  Deno.writeTextFileSync(`${sandbox.staged}/other`, "other");
  const before = listing(sandbox.staged);
  await assertRejects(() => sandbox.stage(withEntries()), OngridError, "Cannot make the directory");
  assertEquals(listing(sandbox.staged), before);
});

Deno.test("a tarball that is missing, or no file, is an error that names it", async () => {
  using sandbox = new Sandbox();
  for (const tarball of [`${sandbox.dir}/missing`, sandbox.dir, "/dev/null"]) {
    const error = await assertRejects(
      () => sandbox.stage(withEntries(), { tarball }),
      OngridError,
      tarball,
    );
    assert(!(error instanceof InvalidBundleError));
  }
});

Deno.test("progress runs to the size of the tarball, in both phases", async () => {
  using sandbox = new Sandbox();
  const seen: StageProgress[] = [];
  const bytes = withEntries();
  await sandbox.stage(bytes, { onProgress: (progress) => seen.push(progress) });
  const ends = ["verify", "unpack"].map((phase) => seen.findLast((one) => one.phase === phase));
  const [done, total] = [bytes.length, bytes.length];
  assertEquals(ends, [{ phase: "verify", done, total }, { phase: "unpack", done, total }]);
});

Deno.test("an abort in any phase ends with its reason and leaves nothing", async () => {
  const big = withEntries(entry({ name: "more" }, random(3 << 20)));
  for (const phase of ["verify", "unpack"]) {
    using sandbox = new Sandbox();
    const before = listing(`${sandbox.dir}/state`);
    const controller = new AbortController();
    const onProgress = (progress: StageProgress) => {
      if (progress.phase === phase) controller.abort(new Error("stopped"));
    };
    const { signal } = controller;
    await assertRejects(() => sandbox.stage(big, { signal, onProgress }), Error, "stopped");
    assertEquals(listing(`${sandbox.dir}/state`), before);
  }
});

Deno.test("an abort without a reason of its own passes as it is", async () => {
  using sandbox = new Sandbox();
  const signal = AbortSignal.abort();
  await assertRejects(() => sandbox.stage(withEntries(), { signal }), DOMException);
});

Deno.test("a directory that cannot be made is named", async () => {
  using sandbox = new Sandbox();
  const dir = `${sandbox.dir}/missing/incoming.partial`;
  await assertRejects(() => sandbox.stage(withEntries(), { dir }), OngridError, dir);
});

Deno.test("a file that the disk does not take is named, and nothing is left behind", async () => {
  using sandbox = new Sandbox();
  const bytes = withEntries(entry({ name: "large" }, new Uint8Array(48 << 20)));
  Deno.writeFileSync(sandbox.tarball, bytes);
  const before = listing(sandbox.dir);
  // A limit on the size of files, in blocks of 512 bytes or of 1 KiB, stands for the full disk.
  const limited = 'trap "" XFSZ; ulimit -f 32768';
  const { tarball, staged: dir } = sandbox;
  const stage = { tarball, sha256: sha256Hex(bytes), roots: CANONICAL_ROOTS, dir };
  const message = await runBehind(limited, { stage });
  assertStringIncludes(message, `Cannot unpack ${dir}/large: `);
  assertEquals(listing(sandbox.dir), before);
});

Deno.test("the words of existing agents can be found in the refusals", async () => {
  using sandbox = new Sandbox();
  const wrong = contentsOf({
    "MANIFEST.txt": manifestLine("promtail", "x"),
    VERSION,
    promtail: "y",
  });
  await sandbox.refuses(gzip(concat(wrong, END)), "manifest: sha mismatch for promtail (");
  const malformed = contentsOf({ "MANIFEST.txt": "nonsense\n", VERSION });
  await sandbox.refuses(gzip(concat(malformed, END)), "malformed manifest line");
  await sandbox.refuses(latin1("no gzip"), "extract: ");
});

function random(bytes: number): Uint8Array {
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) {
    crypto.getRandomValues(content.subarray(at, at + 65_536));
  }
  return content;
}
