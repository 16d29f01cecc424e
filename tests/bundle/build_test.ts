import { assert, assertEquals, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { buildBundle, type BuildOptions, type BundleFile } from "../../lib/bundle/build.ts";
import { bundleFileName, sidecarPath } from "../../lib/bundle/sidecar.ts";
import { InvalidBundleError, OngridError } from "../../lib/cli/errors.ts";
import { makeBundle, sha256Hex } from "../support/bundle_fixture.ts";
import { runBehind } from "./other_process.ts";

const LIB = "/usr/local/lib/ongrid-edge";
const EPOCH = 1_700_000_000;

/** Two temporary directories: one for sources, one for bundles. */
class Workshop implements Disposable {
  readonly dir = Deno.makeTempDirSync();
  readonly out = `${this.dir}/out`;

  constructor() {
    Deno.mkdirSync(this.out);
  }

  /** A source file of this content. */
  file(name: string, content: string | Uint8Array, dest = `${LIB}/${name}`): BundleFile {
    const path = `${this.dir}/${name.replaceAll("/", "_")}.source`;
    Deno.writeFileSync(path, typeof content === "string" ? encode(content) : content);
    return { path, name, mode: 0o755, dest };
  }

  options(files: BundleFile[], more: Partial<BuildOptions> = {}): BuildOptions {
    return {
      arch: "linux-amd64",
      version: "v1.2.3",
      files,
      probes: [],
      outDir: this.out,
      sourceDateEpoch: EPOCH,
      gzipLevel: 1,
      ...more,
    };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

/** Contents that do not compress, larger than any chunk, and of odd sizes. */
function contents(): [name: string, content: Uint8Array | string][] {
  const large = new Uint8Array((2 << 20) + 511);
  for (let at = 0; at < large.length; at++) large[at] = (at * 2654435761) >>> 24;
  return [["promtail", large], ["ongrid-edge", "#!/bin/sh\n"], ["empty", ""], [
    "b512",
    large.slice(0, 512),
  ]];
}

Deno.test("the same files give the same bytes, whatever their times, modes, order and the umask", async () => {
  const hashes: string[] = [];
  for (
    const { umask, mode, time, reverse } of [
      { umask: "022", mode: 0o644, time: 1, reverse: false },
      { umask: "077", mode: 0o700, time: 1_600_000_000, reverse: true },
    ]
  ) {
    using shop = new Workshop();
    const files = contents().map(([name, content]) => shop.file(name, content));
    for (const { path } of files) {
      Deno.chmodSync(path, mode);
      Deno.utimeSync(path, time, time);
    }
    if (reverse) files.reverse();
    const build = shop.options(files);
    assertEquals(await runBehind(`umask ${umask}`, { build }), "done");
    const path = `${shop.out}/${bundleFileName(build)}`;
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o644);
    assertEquals((Deno.statSync(sidecarPath(path)).mode ?? 0) & 0o777, 0o644);
    hashes.push(sha256Hex(Deno.readFileSync(path)));
  }
  assertEquals(hashes[0], hashes[1]);
});

Deno.test("another time or version gives other bytes, but the manifest has no time", async () => {
  using shop = new Workshop();
  const files = [shop.file("promtail", "x")];
  const first = await buildBundle(shop.options(files));
  const later = await buildBundle(shop.options(files, { sourceDateEpoch: EPOCH + 1 }));
  const other = await buildBundle(shop.options(files, { version: "v1.2.4" }));
  assert(first.sha256 !== later.sha256);
  assertEquals(first.manifestSha256, later.manifestSha256);
  assert(first.manifestSha256 !== other.manifestSha256);
});

Deno.test("the result and the sidecar name the hash of what was written", async () => {
  using shop = new Workshop();
  const bundle = await buildBundle(shop.options([shop.file("promtail", "x")]));
  const bytes = Deno.readFileSync(bundle.path);
  assertEquals(bundle.path, `${shop.out}/edge-bundle-linux-amd64-v1.2.3.tar.gz`);
  assertEquals(bundle.sha256, sha256Hex(bytes));
  assertEquals(bundle.bytes, bytes.length);
  assertEquals(Deno.readTextFileSync(bundle.sidecar), `${bundle.sha256}\n`);
  const names = [...Deno.readDirSync(shop.out)].map(({ name }) => name).sort();
  assertEquals(names.map((name) => `${shop.out}/${name}`), [bundle.path, bundle.sidecar]);
});

Deno.test("the installed tar and gzip accept it: order, modes, owner, time", async () => {
  using shop = new Workshop();
  const files = contents().map(([name, content]) => shop.file(name, content));
  const { path } = await buildBundle(shop.options(files));
  await output("gzip", ["-t", path]);
  const listed = await output("tar", ["--utc", "--full-time", "--numeric-owner", "-tvzf", path]);
  const rows = listed.trimEnd().split("\n").map((row) => row.split(/ +/));
  assertEquals(rows.map((row) => row[5]), [
    "MANIFEST.txt",
    "VERSION",
    "b512",
    "empty",
    "ongrid-edge",
    "promtail",
  ]);
  assertEquals(
    new Set(rows.map(([, owner, , date, time]) => `${owner} ${date} ${time}`)),
    new Set(["0/0 2023-11-14 22:13:20"]),
  );
  assertEquals(rows.map(([mode]) => mode), [
    "-rw-r--r--",
    "-rw-r--r--",
    ...Array(4).fill("-rwxr-xr-x"),
  ]);
  for (const [name, content] of contents()) {
    const unpacked = await raw("tar", ["-xzOf", path, name]);
    assertEquals(sha256Hex(unpacked), sha256Hex(content), name);
  }
  assertEquals(await output("tar", ["-xzOf", path, "VERSION"]), "v1.2.3\n");
});

Deno.test("the manifest holds what sha256sum -c wants, and the declarations", async () => {
  using shop = new Workshop();
  const bundle = await makeBundle({
    dir: shop.out,
    version: "v9",
    build: { probes: [{ src: "ongrid-edge", args: ["version"] }] },
  });
  await output("tar", ["-C", shop.dir, "-xzf", bundle.path]);
  const manifest = Deno.readTextFileSync(`${shop.dir}/MANIFEST.txt`);
  assertEquals(sha256Hex(manifest), bundle.manifestSha256);
  const head = manifest.split("\n").slice(1, 4);
  assertEquals(head, ["# version: v9", "# arch: linux-amd64", "# probe: ongrid-edge version"]);
  const sums = manifest.replace(/^#.*\n/gm, "").replace(/^(\S+) \S+ (\S+) \S+$/gm, "$1  $2");
  Deno.writeTextFileSync(`${shop.dir}/sums`, sums);
  await output("sh", ["-c", `cd "$1" && sha256sum -c --quiet sums`, "sh", shop.dir]);
  assertEquals(sums.trimEnd().split("\n").length, 8);
});

Deno.test("the gzip header has no name, no time and a fixed system", async () => {
  using shop = new Workshop();
  const { path } = await buildBundle(shop.options([shop.file("promtail", "x")]));
  assertEquals([...Deno.readFileSync(path).slice(0, 10)], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3]);
  const [level6] = [gzipSync("x", { level: 6 })];
  const other = await buildBundle(shop.options([shop.file("promtail", "x")], { gzipLevel: 6 }));
  assertEquals([...Deno.readFileSync(other.path).slice(0, 9)], [...level6.subarray(0, 9)]);
});

Deno.test("a signature made from the manifest goes beside it", async () => {
  using shop = new Workshop();
  const sign = (manifest: Uint8Array) => Promise.resolve(encode(`signed ${sha256Hex(manifest)}\n`));
  const bundle = await buildBundle(shop.options([shop.file("promtail", "x")], { sign }));
  const signature = await output("tar", ["-xzOf", bundle.path, "MANIFEST.txt.minisig"]);
  assertEquals(signature, `signed ${bundle.manifestSha256}\n`);
});

/** Files that no bundle may carry, and the words they are refused with. */
const refused: [promise: string, name: string, dest: string, words: string][] = [
  ["promtail.yaml", "promtail.yaml", `${LIB}/promtail.yaml`, "configuration"],
  ["otelcol.yaml under another name", "otelcol", `${LIB}/otelcol.yaml`, "configuration"],
  ["a file for /etc", "agent", "/etc/ongrid-edge/agent", "/etc"],
  ["an environment file", "edge.env", `${LIB}/edge.env`, "configuration"],
  ["a file for elsewhere", "agent", "/usr/bin/agent", "outside the managed directories"],
  ["a second MANIFEST.txt", "MANIFEST.txt", `${LIB}/x`, "reserved"],
  ["a name with a slash", "a/b", `${LIB}/x`, "slash"],
  ["a name with a space", "a b", `${LIB}/x`, "malformed manifest line"],
  ["a name above the root", "..", `${LIB}/x`, '".."'],
  ["a destination with a space", "a", `${LIB}/x y`, "malformed manifest line"],
  ["a snapshot's name", "a", `${LIB}/a.previous`, ".previous"],
  ["a name too long for tar", "n".repeat(100), `${LIB}/x`, "more than 99 bytes"],
];

for (const [promise, name, dest, words] of refused) {
  Deno.test(`refused, writing nothing: ${promise}`, async () => {
    using shop = new Workshop();
    const files = [{ ...shop.file("good", "x"), name, dest }];
    await assertRejects(() => buildBundle(shop.options(files)), InvalidBundleError, words);
    assertEquals([...Deno.readDirSync(shop.out)], []);
  });
}

Deno.test("refused, writing nothing: no files, names and destinations twice, odd options", async () => {
  using shop = new Workshop();
  const one = shop.file("promtail", "x");
  const wrong: Partial<BuildOptions>[] = [
    { files: [] },
    { files: [one, one] },
    { files: [one, { ...one, name: "other" }] },
    { files: [{ ...one, mode: 0o4755 }] },
    { files: [{ ...one, mode: -1 }] },
    { version: "latest" },
    { version: "v1/../2" },
    { probes: [{ src: "other", args: [] }] },
    { probes: [{ src: "promtail", args: ["-x y"] }] },
    { probes: [{ src: "promtail", args: ["a\n# version: v2"] }] },
    { sourceDateEpoch: -1 },
    { sourceDateEpoch: 1.5 },
    { gzipLevel: 0 },
    { gzipLevel: 10 },
  ];
  for (const more of wrong) {
    await assertRejects(() => buildBundle(shop.options([one], more)), OngridError);
    assertEquals([...Deno.readDirSync(shop.out)], [], JSON.stringify(more));
  }
});

Deno.test("a source that is missing or no file is an error that names it", async () => {
  using shop = new Workshop();
  for (const path of [`${shop.dir}/missing`, shop.dir, "/dev/zero"]) {
    const files = [{ ...shop.file("promtail", "x"), path }];
    await assertRejects(() => buildBundle(shop.options(files)), OngridError, path);
  }
  assertEquals([...Deno.readDirSync(shop.out)], []);
});

Deno.test("a source that changes between hashing and packing is refused", async () => {
  for (const [changed, words] of [["y", "changed meanwhile"], ["longer", ""], ["", ""]] as const) {
    using shop = new Workshop();
    const file = shop.file("promtail", "x");
    // The signature is made after the files are hashed and before they are packed.
    const sign = () => {
      Deno.writeTextFileSync(file.path, changed);
      return Promise.resolve(encode("s"));
    };
    const error = await assertRejects(
      () => buildBundle(shop.options([file], { sign })),
      OngridError,
    );
    assert(String(error.cause).includes(words), String(error.cause));
    assertEquals([...Deno.readDirSync(shop.out)], []);
  }
});

Deno.test("a bundle of the same name is replaced together with its sidecar", async () => {
  using shop = new Workshop();
  const first = await buildBundle(shop.options([shop.file("promtail", "x")]));
  const second = await buildBundle(shop.options([shop.file("promtail", "y")]));
  assertEquals(first.path, second.path);
  assertEquals(sha256Hex(Deno.readFileSync(second.path)), second.sha256);
  assertEquals(Deno.readTextFileSync(second.sidecar), `${second.sha256}\n`);
  assertEquals([...Deno.readDirSync(shop.out)].length, 2);
});

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

async function raw(command: string, args: string[]): Promise<Uint8Array> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    env: { LC_ALL: "C", TAR_OPTIONS: "" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return stdout;
}

async function output(command: string, args: string[]): Promise<string> {
  return new TextDecoder().decode(await raw(command, args));
}
