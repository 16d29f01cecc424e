import { assertEquals, assertRejects } from "@std/assert";
import { gunzipSync } from "node:zlib";
import { pack, type PackedFile } from "../../lib/bundle/pack.ts";
import { sha256Hex } from "../support/bundle_fixture.ts";

/** Content that deflate finds something in, but not everywhere. */
const CONTENT = new Uint8Array((3 << 20) + 511).map((_, at) => (at * 2654435761) >>> 24);

/** A file that is read in pieces of these sizes in turn. */
function cutFile(name: string, sizes: number[]): PackedFile {
  const open = async function* () {
    for (let at = 0, n = 0; at < CONTENT.length; n++) {
      const next = at + (sizes[n % sizes.length] ?? 1);
      if (n % 3 === 0) await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
      yield CONTENT.slice(at, next);
      at = next;
    }
  };
  return { name, mode: 0o755, size: CONTENT.length, open };
}

/** Packs into a file in a temporary directory. */
async function packed(
  files: PackedFile[],
  { gzipLevel = 1, maxBytes = 1 << 30 },
): Promise<{ bytes: number; sha256: string; content: Uint8Array }> {
  const dir = Deno.makeTempDirSync();
  try {
    using output = Deno.createSync(`${dir}/out`);
    const result = await pack({ files, mtime: 1, gzipLevel, output, maxBytes });
    return { ...result, content: Deno.readFileSync(`${dir}/out`) };
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

for (const gzipLevel of [1, 6]) {
  Deno.test(`the bytes do not depend on how the files are read: level ${gzipLevel}`, async () => {
    const cuts = [[1 << 20], [1000], [65_536, 7, 300_000], [CONTENT.length]];
    const hashes = new Set<string>();
    for (const sizes of cuts) {
      const files = [cutFile("a", sizes), cutFile("b", sizes)];
      const { sha256, bytes, content } = await packed(files, { gzipLevel });
      assertEquals([bytes, sha256], [content.length, sha256Hex(content)]);
      hashes.add(sha256);
    }
    assertEquals(hashes.size, 1);
  });
}

Deno.test("the archive ends as the format says, with whole blocks", async () => {
  const { content } = await packed([cutFile("a", [1 << 20])], {});
  const tar = gunzipSync(content);
  assertEquals(tar.length % 512, 0);
  assertEquals(tar.subarray(-1024).every((byte) => byte === 0), true);
  assertEquals(sha256Hex(tar.subarray(512, 512 + CONTENT.length)), sha256Hex(CONTENT));
});

Deno.test("a file of another size than announced, or a whole too large, is refused", async () => {
  for (const size of [CONTENT.length - 1, CONTENT.length + 1]) {
    const files = [{ ...cutFile("a", [1 << 20]), size }];
    await assertRejects(() => packed(files, {}), RangeError);
  }
  await assertRejects(
    () => packed([cutFile("a", [1 << 20])], { maxBytes: 1000 }),
    RangeError,
    "1000",
  );
});
