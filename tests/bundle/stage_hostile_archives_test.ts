import { assertEquals, assertRejects } from "@std/assert";
import { gunzip } from "../../lib/bundle/gunzip.ts";
import { unpack } from "../../lib/bundle/unpack.ts";
import { concat, END, entry, gzip, header, latin1, padded, pax } from "../support/raw_tar.ts";
import {
  AGENT,
  contentsOf,
  manifestLine,
  Sandbox,
  soundEntries,
  withEntries,
} from "./stage_support.ts";

const sound = soundEntries();

/** Whole files that are no complete archive. */
const wholes: [promise: string, bytes: () => Uint8Array, words: string][] = [
  ["an empty file", () => new Uint8Array(0), "not a complete gzip file"],
  ["no gzip", () => concat(sound, END), "not a complete gzip file"],
  ["a gzip cut in the middle", () => cut(withEntries(), 0.5), "not a complete gzip file"],
  ["a gzip cut by one byte", () => withEntries().slice(0, -1), "not a complete gzip file"],
  ["a gzip header alone", () => withEntries().slice(0, 10), "not a complete gzip file"],
  ["a gzip with a wrong checksum", () => flipped(withEntries(), 6), "not a complete gzip file"],
  ["garbage after the gzip", () => concat(withEntries(), latin1("junk")), "not a complete gzip"],
  [
    "half a second gzip member",
    () => concat(gzip(sound), gzip(END).slice(0, -9)),
    "not a complete gzip file",
  ],
  ["an empty archive", () => gzip(new Uint8Array(0)), "truncated tar archive"],
  ["an archive without an end", () => gzip(sound), "truncated tar archive"],
  ["an archive with half an end", () => gzip(concat(sound, END.subarray(512))), "truncated tar"],
  [
    "an archive cut in a header",
    () => gzip(concat(sound, header({}).subarray(9))),
    "truncated tar",
  ],
  ["an archive cut in a file", () => gzip(sound.slice(0, -600)), "truncated tar archive"],
  ["an archive cut in the padding", () => gzip(sound.slice(0, -1)), "truncated tar archive"],
  [
    "an archive cut in a PAX header",
    () => gzip(concat(sound, pax({ path: "a" }).subarray(0, 600))),
    "truncated tar archive",
  ],
  [
    "a file that claims more than there is",
    () => gzip(concat(sound, header({ size: 100_000 }), padded(new Uint8Array(1000)))),
    "truncated tar archive",
  ],
  [
    "an entry after a lone zero block",
    () => gzip(concat(sound, END.subarray(512), entry({ name: "x" }, "x"), END)),
    "lone zero block",
  ],
  [
    "an entry after the end",
    () => gzip(concat(sound, END, entry({ name: "x" }, "x"), END)),
    "data after the end",
  ],
  ["a byte after the end", () => gzip(concat(sound, END, latin1("x"))), "data after the end"],
  [
    "two mebibytes of zeros after the end",
    () => gzip(concat(sound, END, new Uint8Array(2 << 20))),
    "data after the end",
  ],
];

for (const [promise, bytes, words] of wholes) {
  Deno.test(`refused, leaving nothing: ${promise}`, async () => {
    using sandbox = new Sandbox();
    await sandbox.refuses(bytes(), words);
  });
}

/** What an archive with a flaw in what it says of itself contains, and the words for it. */
const contents: [promise: string, entries: Uint8Array, words: string][] = [
  ["no manifest", entry({ name: "VERSION" }, "v1\n"), "manifest: open manifest"],
  ["no VERSION", entry({ name: "MANIFEST.txt" }, manifestLine("a", "")), "VERSION is missing"],
  [
    "a manifest in a directory",
    contentsOf({ "x/MANIFEST.txt": "", VERSION: "v1" }),
    "open manifest",
  ],
  ["an empty VERSION", contentsOf({ VERSION: " \n" }), "VERSION is empty"],
  ["a VERSION of two words", contentsOf({ VERSION: "v1 v2\n" }), "not a plain version"],
  ["a large VERSION", contentsOf({ VERSION: "1".repeat(2000) }), "VERSION is larger"],
  [
    "a large manifest",
    contentsOf({ "MANIFEST.txt": "#".repeat((4 << 20) + 1), VERSION: "v1" }),
    "MANIFEST.txt is larger",
  ],
  [
    "a manifest of no files",
    contentsOf({ "MANIFEST.txt": "# nothing\n", VERSION: "v1" }),
    "manifest: manifest declared zero files",
  ],
  [
    "a manifest with a bad line",
    contentsOf({ "MANIFEST.txt": `${manifestLine("a", "")}nonsense\n`, VERSION: "v1", a: "" }),
    "manifest: MANIFEST.txt line 2: malformed manifest line",
  ],
  [
    "a file with another hash",
    contentsOf({ "MANIFEST.txt": manifestLine("promtail", "x"), VERSION: "v1", promtail: "y" }),
    "manifest: sha mismatch for promtail",
  ],
  [
    "a file that is missing",
    contentsOf({ "MANIFEST.txt": manifestLine("promtail", "x"), VERSION: "v1" }),
    'manifest: src is missing: "promtail"',
  ],
  [
    "a file that is a directory",
    concat(
      contentsOf({ "MANIFEST.txt": manifestLine("d", ""), VERSION: "v1" }),
      entry({ name: "d", type: "5" }),
    ),
    'manifest: src is a directory: "d"',
  ],
  [
    "a declared version other than VERSION",
    contentsOf({
      "MANIFEST.txt": `# version: v2\n${manifestLine("a", "")}`,
      VERSION: "v1",
      a: "",
    }),
    "manifest: MANIFEST.txt declares version",
  ],
];

for (const [promise, entries, words] of contents) {
  Deno.test(`refused, leaving nothing: ${promise}`, async () => {
    using sandbox = new Sandbox();
    await sandbox.refuses(gzip(concat(entries, END)), words);
  });
}

Deno.test("refused, leaving nothing: twenty thousand entries", async () => {
  using sandbox = new Sandbox();
  const many = Array.from({ length: 20_000 }, () => header({ name: "./", type: "5" }));
  await sandbox.refuses(withEntries(...many), "more than 10000 tar entries");
});

Deno.test("a bomb stops at the bound, long before it fills the disk", async () => {
  using sandbox = new Sandbox();
  const quarter = new Uint8Array(1 << 18);
  const bomb = withEntries(
    ...Array.from({ length: 200 }, (_, i) => entry({ name: `zeros${i}` }, quarter)),
  );
  const words = "bundle too large, more than 1048576 bytes unpacked";
  await sandbox.refuses(bomb, words, { maxUnpackedBytes: 1 << 20 });

  const dir = `${sandbox.dir}/unpacked`;
  Deno.mkdirSync(dir);
  using file = Deno.openSync(sandbox.tarball);
  const limits = { maxEntries: 1000, maxBytes: 1 << 20 };
  const archive = gunzip(file, { path: sandbox.tarball, onChunk: () => {} });
  await assertRejects(() => unpack({ archive, dir, limits, keep: new Map() }));
  const written = used(dir);
  assertEquals(written > (1 << 19) && written <= 1 << 20, true, `${written} bytes`);
});

Deno.test("a packed bundle beyond the bound is refused unread", async () => {
  using sandbox = new Sandbox();
  await sandbox.refuses(withEntries(), "bundle too large (", { maxBytes: 100 });
});

Deno.test("a bomb in the padding after the end is refused", async () => {
  using sandbox = new Sandbox();
  const zeros = gzip(new Uint8Array(32 << 20), 9);
  await sandbox.refuses(concat(withEntries(), zeros, zeros), "data after the end");
});

function cut(bytes: Uint8Array, share: number): Uint8Array {
  return bytes.slice(0, Math.floor(bytes.length * share));
}

/** One bit changed, this many bytes before the end. */
function flipped(bytes: Uint8Array, fromEnd: number): Uint8Array {
  const copy = bytes.slice();
  const at = copy.length - fromEnd;
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** Bytes of the files in a directory. */
function used(dir: string): number {
  return [...Deno.readDirSync(dir)]
    .reduce((sum, { name }) => sum + Deno.lstatSync(`${dir}/${name}`).size, 0);
}

Deno.test("the archive that all of these damage is accepted as it is", async () => {
  using sandbox = new Sandbox();
  const { manifestFiles } = await sandbox.stage(withEntries());
  assertEquals(manifestFiles, 1);
  assertEquals(Deno.readTextFileSync(`${sandbox.staged}/ongrid-edge`), AGENT);
});
