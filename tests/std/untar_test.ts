import { assert, assertEquals, assertRejects } from "@std/assert";
import { UntarStream } from "@std/tar";
import {
  BLOCK,
  type Bytes,
  chunked,
  concat,
  END,
  file,
  header,
  pack,
  padded,
  unpack,
} from "./_tar_helpers.ts";

const PREFIX_FAILURE = "Cannot extract the tar archive: ";

Deno.test("content can be read into memory the reader brings", async () => {
  const archive = await pack(file("a", "x".repeat(700)));
  for await (const { readable } of chunked(archive, 300).pipeThrough(new UntarStream())) {
    assert(readable);
    const reader = readable.getReader({ mode: "byob" });
    let length = 0;
    for (let ended = false; !ended;) {
      const { done, value } = await reader.read(new Uint8Array(100));
      ended = done;
      length += value?.length ?? 0;
      assert(value?.every((byte) => byte === "x".charCodeAt(0)));
    }
    assertEquals(length, 700);
  }
});

Deno.test("content may be cancelled, read in part or not at all", async () => {
  const archive = await pack(
    file("a", "x".repeat(5000)),
    file("b", "y".repeat(5000)),
    file("c", "z"),
  );
  const seen: string[] = [];
  for await (const { path, readable } of chunked(archive, 600).pipeThrough(new UntarStream())) {
    assert(readable);
    seen.push(path);
    if (path === "b") {
      const reader = readable.getReader();
      assertEquals((await reader.read()).value?.[0], "y".charCodeAt(0));
      await reader.cancel();
    } else if (path === "c") assertEquals(await new Response(readable).text(), "z");
    else await readable.cancel();
  }
  assertEquals(seen, ["a", "b", "c"]);
});

Deno.test("the next entry waits for the content of the one before, even an empty one", async () => {
  const archive = await pack(file("a", ""), file("b", "y"));
  const reader = chunked(archive).pipeThrough(new UntarStream()).getReader();
  const first = await reader.read();
  let came = false;
  const second = reader.read().then(({ value }) => {
    came = true;
    return value;
  });
  // More turns than the whole archive takes when nothing waits.
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  assertEquals(came, false);
  await first.value?.readable?.cancel();
  assertEquals((await second)?.path, "b");
  await (await second)?.readable?.cancel();
  assertEquals((await reader.read()).done, true);
});

Deno.test("the archive is read no further than the content that is asked for", async () => {
  const archive = await pack(file("a", "x".repeat(100 * BLOCK)), file("b", "y"));
  let blocksRead = 0;
  const source = new ReadableStream<Bytes>({
    pull(controller) {
      controller.enqueue(archive.slice(blocksRead * BLOCK, ++blocksRead * BLOCK));
      if (blocksRead * BLOCK === archive.length) controller.close();
    },
  });
  const reader = source.pipeThrough(new UntarStream()).getReader();
  const content = (await reader.read()).value?.readable?.getReader();
  await content?.read();
  assert(blocksRead < 20, `${blocksRead} blocks read`);
  await content?.cancel();
  await (await reader.read()).value?.readable?.cancel();
  assertEquals((await reader.read()).done, true);
});

Deno.test("a broken archive is told by its error", async () => {
  const good = await pack(file("newFile.txt", "a".repeat(BLOCK)));
  const broken = (at: number, byte: number) => good.with(at, byte) as Bytes;
  const cases: [Bytes, ErrorConstructor, string][] = [
    [new Uint8Array(0), RangeError, "The tarball is too small to be valid"],
    [new Uint8Array(BLOCK), RangeError, "The tarball is too small to be valid"],
    [good.slice(0, -100), RangeError, "has an unexpected number of bytes (412)"],
    [good.slice(0, -BLOCK), SyntaxError, "Unexpected end of Tarball"],
    [good.slice(0, 2 * BLOCK), TypeError, "The tarball has invalid ending"],
    [broken(good.length - 1, 1), TypeError, "The tarball has invalid ending"],
    [broken(148, 97), SyntaxError, "An archive entry has invalid header checksum"],
    [broken(0, 97), SyntaxError, "An archive entry has invalid header checksum"],
  ];
  for (const [archive, ErrorClass, message] of cases) {
    await assertRejects(
      async () => {
        const entries = chunked(archive).pipeThrough(new UntarStream());
        for await (const entry of entries) await entry.readable?.cancel();
      },
      ErrorClass,
      message.startsWith("has") ? message : PREFIX_FAILURE + message,
    );
  }
});

Deno.test("whoever reads content that ends too soon gets the error", async () => {
  const archive = (await pack(file("a", "x".repeat(5000)))).slice(0, 5 * BLOCK);
  const reader = chunked(archive).pipeThrough(new UntarStream()).getReader();
  const { value } = await reader.read();
  await assertRejects(
    async () => {
      for await (const _ of value?.readable ?? []);
    },
    SyntaxError,
    "Unexpected end of Tarball",
  );
});

Deno.test("two blocks of zeros are the end, whatever follows", async () => {
  const archive = concat(await pack({ type: "directory", path: "a" }), padded("garbage"));
  assertEquals((await unpack(archive)).map(({ path }) => path), ["a"]);
  assertEquals(await unpack(END), []);
});

Deno.test("links, devices and FIFOs come without content and with their header", async () => {
  const types = ["1", "2", "3", "4", "5", "6"];
  const archive = concat(
    ...types.map((type) => header({ 0: `n${type}`, 156: type, 157: "target", 329: "8", 337: "1" })),
    END,
  );
  const found = await unpack(archive);
  assertEquals(found.map(({ path, text }) => [path, text]), types.map((t) => [`n${t}`, undefined]));
  assertEquals(found.map(({ header }) => header.typeflag), types);
  assertEquals(found[0]?.header.linkname, "target");
  assert(found[2] && "devmajor" in found[2].header);
  assertEquals([found[2].header.devmajor, found[2].header.devminor], ["8", "1"]);
});

Deno.test("GNU and PAX headers are entries of their own and change no other", async () => {
  const size = "00000000005\0";
  const archive = concat(
    header({ 0: "././@LongLink", 124: size, 156: "L" }),
    padded("long\0"),
    header({ 0: "cut", 124: size, 156: "0" }),
    padded("text1"),
    header({ 0: "PaxHeaders/x", 124: size, 156: "x" }),
    padded("5 a=b"),
    header({ 0: "also cut", 124: size, 156: "\0" }),
    padded("text2"),
    END,
  );
  const found = await unpack(archive);
  assertEquals(found.map(({ path, header, text }) => [path, header.typeflag, text]), [
    ["././@LongLink", "L", "long\0"],
    ["cut", "0", "text1"],
    ["PaxHeaders/x", "x", "5 a=b"],
    ["also cut", "0", "text2"],
  ]);
});

Deno.test("a header that is not ustar has no prefix", async () => {
  const [gnu, ustar] = await unpack(concat(
    header({ 0: "name", 156: "5", 257: "ustar  \0", 345: "prefix" }),
    header({ 0: "name", 156: "5", 345: "prefix" }),
    END,
  ));
  assertEquals([gnu?.path, ustar?.path], ["name", "prefix/name"]);
  assert(gnu && !("magic" in gnu.header));
});

Deno.test("a size that is not octal is NaN, and no content is read", async () => {
  const binary = String.fromCharCode(0x10) + "\0".repeat(11);
  const [found] = await unpack(concat(header({ 0: "big", 124: binary }), END));
  assertEquals(found?.header.size, NaN);
  assertEquals(found?.text, "");
});

Deno.test("the memory of the caller stays the caller's", async () => {
  const archive = await pack(file("a", "text"));
  const before = archive.slice();
  const entries = ReadableStream.from([archive]).pipeThrough(new UntarStream());
  for await (const { readable } of entries) {
    for await (const chunk of readable ?? []) chunk.fill(0);
  }
  assertEquals(archive, before);
});
