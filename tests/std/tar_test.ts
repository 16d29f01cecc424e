import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  assertValidPath,
  assertValidTarStreamOptions,
  TarStream,
  type TarStreamInput,
  type TarStreamOptions,
  UntarStream,
} from "@std/tar";
import { TarStream as fromTarPath } from "@std/tar/tar-stream";
import { UntarStream as fromUntarPath } from "@std/tar/untar-stream";
import { BLOCK, type Bytes, bytes, concat, file, pack, unpack } from "./_tar_helpers.ts";

Deno.test("both names of each module lead to the same class", () => {
  assertEquals([fromTarPath, fromUntarPath], [TarStream, UntarStream]);
});

Deno.test("what was archived comes out again, whatever pieces the archive comes in", async () => {
  const texts = ["", "x", "y".repeat(BLOCK), "z".repeat(3 * BLOCK + 1)];
  const archive = await pack(
    { type: "directory", path: "d/" },
    ...texts.map((text, i) => file(`d/${i}`, text)),
  );
  const expected = [["d/", undefined], ...texts.map((text, i) => [`d/${i}`, text])];
  for (const size of [1, 100, BLOCK, 700, 1 << 20]) {
    const found = await unpack(archive, size);
    assertEquals(found.map(({ path, text }) => [path, text]), expected);
  }
});

Deno.test("a header has every field where POSIX wants it", async () => {
  const path = `${"a".repeat(75)}/${"b".repeat(75)}`;
  const options = {
    mode: 0o123,
    uid: 0o456,
    gid: 0o701,
    mtime: 0o12345,
    uname: "abc",
    gname: "def",
    devmajor: "123",
    devminor: "456",
  };
  const archive = await pack({ type: "directory", path, options });
  assertEquals(archive.length, 3 * BLOCK);
  const text = (start: number, end: number) =>
    new TextDecoder().decode(archive.slice(start, end)).replace(/\0+$/, "\0");
  assertEquals(text(0, 100), `${"b".repeat(75)}\0`);
  assertEquals(text(100, 124), "000123 \x00000456 \x00000701 \0");
  assertEquals(text(124, 148), "00000000000 00000012345 ");
  assertEquals(text(156, 157), "5");
  assertEquals(text(157, 257), "\0");
  assertEquals(text(257, 297), "ustar\x0000abc\0");
  assertEquals(text(297, 329), "def\0");
  assertEquals(text(329, 337), "123\0");
  assertEquals(text(337, 345), "456\0");
  assertEquals(text(345, 512), `${"a".repeat(75)}\0`);
  const sum = text(148, 156);
  archive.fill(32, 148, 156);
  const expected = archive.reduce((total, byte) => total + byte, 0);
  assertEquals(sum, `${expected.toString(8).padStart(6, "0")}\0 `);
});

Deno.test("a header is read back with all its fields", async () => {
  const options = { mode: 0o750, uid: 10, gid: 20, mtime: 7, uname: "u", gname: "g" };
  const [found] = await unpack(await pack(file("name", "text", options)));
  assertEquals(found?.header, {
    name: "name",
    mode: 0o750,
    uid: 10,
    gid: 20,
    size: 4,
    mtime: 7,
    typeflag: "0",
    linkname: "",
    magic: "ustar\0",
    version: "00",
    uname: "u",
    gname: "g",
    devmajor: "",
    devminor: "",
    prefix: "",
  });
});

Deno.test("what is not said of an entry is 644 or 755, nobody's, and new", async () => {
  const before = Math.floor(Date.now() / 1000);
  const readable = ReadableStream.from([bytes("x")]);
  const archive = await pack(
    { type: "file", path: "f", size: 1, readable },
    { type: "directory", path: "d" },
  );
  const [f, d] = (await unpack(archive)).map((found) => found.header);
  assertEquals([f?.mode, f?.uid, f?.gid], [0o644, 0, 0]);
  assertEquals([d?.mode, d?.typeflag], [0o755, "5"]);
  assert(f !== undefined && f.mtime >= before && f.mtime <= Date.now() / 1000);
});

Deno.test("a long path is parted and put together", async () => {
  for (const [front, back] of [[60, 60], [155, 99], [1, 99], [120, 10]] as const) {
    const path = `${"a".repeat(front)}/${"b".repeat(back)}`;
    const [found] = await unpack(await pack(file(path, "x")));
    assertEquals(found?.path, path);
  }
  const directory = `${"a/".repeat(100)}`;
  const [found] = await unpack(await pack({ type: "directory", path: directory }));
  assertEquals(found?.path, directory);
});

Deno.test("a path that fits into no header is refused", async () => {
  assertValidPath("./potato");
  assertValidPath("ü".repeat(50));
  assertThrows(() => assertValidPath("a".repeat(300)), RangeError, "The path length is 300");
  assertThrows(() => assertValidPath("a".repeat(120)), RangeError, "The filename length is 120");
  assertThrows(() => assertValidPath("ü".repeat(60)), RangeError, "The filename length is 120");
  assertThrows(
    () => assertValidPath(`${"a".repeat(160)}/${"b".repeat(75)}`),
    TypeError,
    "split-able on a forward slash separator into [155, 100] bytes",
  );
  await assertRejects(() => pack(file("a".repeat(300), "x")), RangeError, "The path length is 300");
});

Deno.test("options that fit into no header are refused", async () => {
  const wrong: [string, TarStreamOptions][] = [
    ["Mode", { mode: 0o1111111 }],
    ["Mode", { mode: -1 }],
    ["Mode", { mode: NaN }],
    ["UID", { uid: 0o1111111 }],
    ["GID", { gid: -1 }],
    ["MTime", { mtime: 8 ** 11 }],
    ["MTime", { mtime: NaN }],
    ["UName", { uname: "a".repeat(32) }],
    ["UName", { uname: "ü" }],
    ["GName", { gname: "a".repeat(32) }],
    ["DevMajor", { devmajor: "a".repeat(9) }],
    ["DevMinor", { devminor: "a".repeat(9) }],
  ];
  for (const [what, options] of wrong) {
    const message = `Invalid ${what} provided`;
    assertThrows(() => assertValidTarStreamOptions(options), TypeError, message);
    await assertRejects(() => pack(file("a", "x", options)), TypeError, message);
  }
  assertValidTarStreamOptions({});
  assertValidTarStreamOptions({ mode: 0o777777, mtime: 8 ** 11 - 1, uname: "a".repeat(31) });
});

Deno.test("a file has to have the size it is said to have", async () => {
  const sized = (size: number) => () => pack({ ...file("a", "123456789012"), size } as never);
  await assertRejects(
    sized(11),
    RangeError,
    "Cannot add to the tar archive: The provided size (11) did not match bytes read from " +
      "provided readable (12)",
  );
  await assertRejects(sized(13), RangeError, "The provided size (13)");
  for (const size of [-12, NaN, 8 ** 12 + 7]) {
    await assertRejects(sized(size), RangeError, "The size cannot exceed 64 Gibs");
  }
});

Deno.test("an archive can be read into memory the reader brings", async () => {
  const inputs = () => [file("a", "x".repeat(700)), file("b", "y")];
  const expected = await pack(...inputs());
  for (const size of [1, 511, 512, 513, 5000]) {
    const archive = ReadableStream.from(inputs()).pipeThrough(new TarStream());
    const reader = archive.getReader({ mode: "byob" });
    const parts: Bytes[] = [];
    for (let ended = false; !ended;) {
      const { done, value } = await reader.read(new Uint8Array(size));
      ended = done;
      if (value) parts.push(value);
    }
    assertEquals(concat(...parts), expected);
  }
});

Deno.test("a large file passes in bounded memory", async () => {
  const piece = new Uint8Array(1 << 16).fill(7);
  const pieces = 256;
  async function* content() {
    for (let i = 0; i < pieces; i++) yield await Promise.resolve(piece.slice());
  }
  const input: TarStreamInput = {
    type: "file",
    path: "large",
    size: pieces * piece.length,
    readable: ReadableStream.from(content()),
  };
  const entries = ReadableStream.from([input]).pipeThrough(new TarStream())
    .pipeThrough(new UntarStream());
  let length = 0;
  for await (const { readable } of entries) {
    for await (const chunk of readable ?? []) {
      length += chunk.length;
      assert(chunk.length <= piece.length && chunk[0] === 7);
    }
  }
  assertEquals(length, input.size);
});
