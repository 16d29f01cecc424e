import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BundleTree } from "../../lib/bundle/bundle_tree.ts";
import { ByteSource } from "../../lib/bundle/byte_source.ts";
import { readTar } from "../../lib/bundle/untar.ts";
import { unpack } from "../../lib/bundle/unpack.ts";
import { InvalidBundleError } from "../../lib/cli/errors.ts";
import { concat, END, entry, gnuName, header, latin1, pax } from "../support/raw_tar.ts";
import { Prng } from "./prng.ts";
import { listing, soundEntries } from "./stage_support.ts";

const LIMITS = { maxEntries: 100, maxBytes: 1 << 20 };

/** An archive with every kind of header that is accepted, and a file of some chunks. */
function archive(): Uint8Array<ArrayBuffer> {
  return concat(
    entry({ name: "./", type: "5" }),
    soundEntries(),
    pax({ comment: "x" }, "g"),
    pax({ path: "a/long/path" }),
    entry({ name: "a" }, "a".repeat(1500)),
    gnuName("b/long/name"),
    entry({ name: "b" }, "b".repeat(512)),
    entry({ name: "empty" }),
    END,
    new Uint8Array(10_240),
  );
}

/** The bytes in chunks of what `size` gives. */
async function* chunked(bytes: Uint8Array<ArrayBuffer>, size: () => number) {
  for (let at = 0; at < bytes.length;) {
    const next = at + size();
    yield bytes.subarray(at, next);
    at = next;
  }
}

/** Paths and contents of an archive, as the reader gives them. */
async function entriesOf(chunks: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<string[]> {
  const found: string[] = [];
  for await (const { path, kind, size, content } of readTar(new ByteSource(chunks), LIMITS)) {
    let text = "";
    for await (const piece of content()) text += new TextDecoder().decode(piece);
    assertEquals(text.length, size);
    found.push(`${kind} ${path} ${text}`);
  }
  return found;
}

Deno.test("an archive reads the same however it is cut into chunks", async () => {
  const bytes = archive();
  const whole = await entriesOf(chunked(bytes, () => bytes.length));
  assertEquals(whole.length, 7);
  for (const size of [1, 7, 511, 512, 513, 1000]) {
    assertEquals(await entriesOf(chunked(bytes, () => size)), whole, `chunks of ${size}`);
  }
  const random = new Prng(Prng.seed());
  const cut = await entriesOf(chunked(bytes, () => 1 + random.below(1024)));
  assertEquals(cut, whole, `ONGRID_TEST_SEED=${random.seed}`);
});

Deno.test("content that nobody reads is skipped", async () => {
  const bytes = archive();
  const paths: string[] = [];
  const source = new ByteSource(chunked(bytes, () => 700));
  for await (const { path } of readTar(source, LIMITS)) paths.push(path);
  assertEquals(paths.slice(-3), ["a/long/path", "b/long/name", "empty"]);
});

Deno.test("damaged archives are read as something harmless or refused, never anything else", async () => {
  const random = new Prng(Prng.seed());
  const sound = archive();
  const outcomes = { read: 0, refused: 0 };
  for (let i = 0; i < 1500; i++) {
    const what = `ONGRID_TEST_SEED=${random.seed}, archive ${i}`;
    const bytes = damaged(random, sound);
    try {
      for (const found of await entriesOf(chunked(bytes, () => 4096))) {
        const [, path = ""] = found.split(" ");
        const plain = !path.startsWith("/") && !path.split("/").includes("..");
        // deno-lint-ignore no-control-regex
        assert(plain && !/[\x00-\x1f]/.test(path), `${what}: ${JSON.stringify(path)}`);
      }
      outcomes.read++;
    } catch (e) {
      assert(e instanceof InvalidBundleError, `${what}: ${e}`);
      assert(e.message.startsWith("extract: "), `${what}: ${e.message}`);
      outcomes.refused++;
    }
  }
  assert(outcomes.read > 50 && outcomes.refused > 500, JSON.stringify(outcomes));
});

/** Some bytes of one block changed; its checksum is mended, so that more than that is tested. */
function damaged(random: Prng, sound: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = concat(sound);
  const at = 512 * random.below(bytes.length / 512);
  const block = bytes.subarray(at, at + 512);
  for (let n = 1 + random.below(3); n > 0; n--) {
    const field = random.pick([0, 100, 124, 135, 156, 257, 345, random.below(512)]);
    block[field] = random.pick([0, 0x2e, 0x2f, 0x30, 0x35, 0x4c, 0x78, 0x80, 0xff]);
  }
  if (block.some((byte) => byte !== 0) && random.below(4) > 0) mendChecksum(block);
  return random.below(8) === 0 ? bytes.slice(0, random.below(bytes.length)) : bytes;
}

function mendChecksum(block: Uint8Array): void {
  block.set(latin1("        "), 148);
  const sum = block.reduce((a, b) => a + b, 0);
  block.set(latin1(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
}

Deno.test("GNU's times where USTAR has the prefix are no part of the name", async () => {
  const bytes = concat(header({ name: "x", magic: "ustar  \0", prefix: "14524313710" }), END);
  assertEquals(await entriesOf(chunked(bytes, () => bytes.length)), ["file x "]);
});

Deno.test("files and hashes arrive, the stream is given up, also after an error", async () => {
  for (
    const { bytes, fails } of [
      { bytes: archive(), fails: false },
      { bytes: concat(soundEntries(), header({ type: "2" }), archive()), fails: true },
    ]
  ) {
    const dir = Deno.makeTempDirSync();
    try {
      let ended = false;
      const source = async function* () {
        try {
          yield* chunked(bytes, () => 1024);
        } finally {
          ended = true;
        }
      };
      const keep = new Map([["VERSION", 100]]);
      const unpacking = unpack({ archive: source(), dir, limits: LIMITS, keep });
      if (fails) await assertRejects(() => unpacking, InvalidBundleError, "symbolic link");
      else {
        const { tree, kept } = await unpacking;
        assertEquals([...tree.directories], ["a", "a/long", "b", "b/long"]);
        assertEquals(new TextDecoder().decode(kept.get("VERSION")), "v1.2.3\n");
        const listed = listing(dir).filter((line) => !line.includes("/ "));
        const expected = [...tree.files].map(([path, sha256]) =>
          `${path} 644 ${sha256.slice(0, 16)}`
        );
        assertEquals(listed.map(noMode), expected.map(noMode).sort());
      }
      assert(ended);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  }
});

function noMode(line: string): string {
  return line.replace(/ \d+ /, " ");
}

Deno.test("a tree makes each directory once, outermost first", () => {
  const tree = new BundleTree(100);
  assertEquals(tree.claim("", "directory"), []);
  assertEquals(tree.claim("a/b/c", "file"), ["a", "a/b"]);
  assertEquals(tree.claim("a/d", "directory"), ["a/d"]);
  assertEquals(tree.claim("a/b", "directory"), []);
  assertEquals([...tree.files.keys()], ["a/b/c"]);
});

Deno.test("a tree refuses what is in use, and more names than it may have", () => {
  const tree = new BundleTree(4);
  tree.claim("a/b", "file");
  for (const path of ["a/b", "a", "a/b/c"]) {
    assertThrows(() => tree.claim(path, "file"), InvalidBundleError, "extract: ");
  }
  assertThrows(() => tree.claim("x/y/z", "file"), InvalidBundleError, "more than 4 files");
});
