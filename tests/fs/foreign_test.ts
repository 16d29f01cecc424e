import { assert, assertEquals, assertInstanceOf, assertMatch, assertThrows } from "@std/assert";
import { describeError, ForeignFileError } from "../../lib/cli/errors.ts";
import {
  isRealDirectory,
  openForeign,
  readForeign,
  readForeignLine,
  readForeignText,
} from "../../lib/fs/foreign.ts";
import { runProgram, skip } from "./process.ts";
import { IS_ROOT, makeFifo, Scratch } from "./scratch.ts";

const LIMIT = { maxBytes: 100 };

function refusal(path: string, options = LIMIT): string {
  const error = assertThrows(() => readForeign(path, options), ForeignFileError);
  return describeError(error).message;
}

Deno.test("a regular file is read, and an absent one is undefined", () => {
  using dir = new Scratch();
  const path = dir.file("marker", " v1.2.3\n");
  assertEquals(readForeign(path, LIMIT), new TextEncoder().encode(" v1.2.3\n"));
  assertEquals(readForeignText(path, LIMIT), " v1.2.3\n");
  assertEquals(readForeignLine(path, LIMIT), "v1.2.3");
  for (const read of [readForeign, readForeignText, readForeignLine]) {
    assertEquals(read(dir.at("absent"), LIMIT), undefined);
    assertEquals(read(dir.at("absent/below"), LIMIT), undefined);
  }
});

Deno.test("an empty file is empty, not absent", () => {
  using dir = new Scratch();
  const path = dir.file("empty", "");
  assertEquals(readForeign(path, LIMIT), new Uint8Array());
  assertEquals(readForeignLine(path, LIMIT), "");
  assertEquals(readForeign(path, { maxBytes: 0 }), new Uint8Array());
});

Deno.test("a file of exactly the limit is read, one byte more is refused", () => {
  using dir = new Scratch();
  assertEquals(readForeign(dir.file("fits", "x".repeat(100)), LIMIT)?.length, 100);
  const path = dir.file("large", "x".repeat(101));
  assertEquals(
    refusal(path),
    `Refused to read ${path}: it has 101 bytes, more than the 100 allowed`,
  );
});

Deno.test("a file of many chunks is read in order", () => {
  using dir = new Scratch();
  const content = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
  assertEquals(readForeign(dir.file("big", content), { maxBytes: 1 << 20 }), content);
});

Deno.test("a FIFO is refused, and nobody waits for its writer", () => {
  using dir = new Scratch();
  makeFifo(dir.at("fifo"));
  assertEquals(
    refusal(dir.at("fifo")),
    `Refused to read ${dir.at("fifo")}: it is a FIFO, not a regular file`,
  );
});

Deno.test("a link is refused, whether it leads somewhere or not", () => {
  using dir = new Scratch();
  Deno.symlinkSync(dir.file("target", "x"), dir.at("link"));
  Deno.symlinkSync(dir.at("absent"), dir.at("dangling"));
  for (const name of ["link", "dangling"]) {
    assertEquals(
      refusal(dir.at(name)),
      `Refused to read ${dir.at(name)}: it is a symbolic link, not a regular file`,
    );
  }
});

Deno.test("devices, sockets and directories are refused", () => {
  using dir = new Scratch();
  assertEquals(
    refusal("/dev/zero"),
    "Refused to read /dev/zero: it is a device, not a regular file",
  );
  assertEquals(
    refusal(dir.path),
    `Refused to read ${dir.path}: it is a directory, not a regular file`,
  );
  using _listener = Deno.listen({ transport: "unix", path: dir.at("s") });
  assertEquals(
    refusal(dir.at("s")),
    `Refused to read ${dir.at("s")}: it is a socket, not a regular file`,
  );
});

Deno.test("a path through a file is refused, not taken for absent", () => {
  using dir = new Scratch();
  const path = `${dir.file("file", "x")}/below`;
  assertEquals(
    refusal(path),
    `Refused to read ${path}: it cannot be read: lstat '${path}': not a directory`,
  );
});

Deno.test("a file that grows while it is read is bounded", () => {
  using dir = new Scratch();
  const path = dir.file("growing", "x".repeat(60));
  using file = openForeign(path, LIMIT).file;
  const chunk = new Uint8Array(50);
  assertEquals(file.readSync(chunk), 50);
  Deno.writeTextFileSync(path, "y".repeat(1000), { append: true });
  assertEquals(file.readSync(chunk), 50);
  const error = assertThrows(() => file.readSync(chunk), ForeignFileError);
  assertEquals(error.message, `Refused to read ${path}: it grew beyond 100 bytes`);
});

Deno.test("a file that grows up to the limit is read to its end", () => {
  using dir = new Scratch();
  const path = dir.file("growing", "x".repeat(60));
  using file = openForeign(path, LIMIT).file;
  const chunk = new Uint8Array(1000);
  assertEquals(file.readSync(chunk), 60);
  Deno.writeTextFileSync(path, "y".repeat(40), { append: true });
  assertEquals(file.readSync(chunk), 40);
  assertEquals(file.readSync(chunk), null);
});

Deno.test("a file that is exchanged between the look and the opening is refused", async () => {
  const replaced = "ForeignFileError Refused to read f: it was replaced while it was being opened";
  for (const other of ["fifo", "file", "link"]) {
    const change = `Deno.renameSync("${other}", "f")`;
    assertEquals(await readWhile(change, { restricted: true }), replaced, other);
  }
  // Deno follows links then, silently; with all permissions the kernel refuses them.
  const link = await readWhile('Deno.renameSync("link", "f")', { restricted: false });
  assertMatch(link, /it cannot be read: .*symbolic/);
  const file = await readWhile('Deno.renameSync("file", "f")', { restricted: false });
  assertEquals(file, replaced);
});

Deno.test("a file that grows between the look and the opening is refused", async () => {
  const change = 'Deno.writeTextFileSync("f", "x".repeat(101))';
  const outcome = await readWhile(change, { restricted: true });
  assertMatch(outcome, /it has 101 bytes, more than the 100 allowed$/);
});

Deno.test("a file that goes away between the look and the opening is absent", async () => {
  assertEquals(await readWhile('Deno.removeSync("f")', { restricted: true }), "undefined");
});

/** Reads `f` while, right after it was looked at, something is done to it. */
async function readWhile(change: string, { restricted }: { restricted: boolean }): Promise<string> {
  using dir = new Scratch();
  dir.file("f", "right");
  dir.file("file", "wrong");
  makeFifo(dir.at("fifo"));
  Deno.symlinkSync("file", dir.at("link"));
  const code = `const lstat = Deno.lstatSync;
    Deno.lstatSync = (path) => { const info = lstat(path); ${change}; return info; };
    try { console.log(String(readForeign("f", { maxBytes: 100 }))); }
    catch (e) { console.log(e.name, describeError(e).message); }`;
  const denoArgs = restricted ? [`--allow-read=${dir.path}`, `--allow-write=${dir.path}`] : ["-A"];
  const { stdout, stderr } = await runProgram(code, { cwd: dir.path, denoArgs });
  return `${stdout}${stderr}`.trim();
}

Deno.test("reading works with Deno's permissions restricted to the directory", async () => {
  using dir = new Scratch();
  dir.file("f", "content");
  makeFifo(dir.at("fifo"));
  const code = `console.log(readForeign("f", { maxBytes: 100 }).length);
    try { readForeign("fifo", { maxBytes: 100 }); } catch (e) { console.log(e.name); }
    try { readForeign("/etc/passwd", { maxBytes: 1e6 }); } catch (e) { console.log(e.name); }`;
  const { stdout } = await runProgram(code, {
    cwd: dir.path,
    denoArgs: [`--allow-read=${dir.path}`],
  });
  assertEquals(stdout.trim().split("\n"), ["7", "ForeignFileError", "NotCapable"]);
});

Deno.test("a file that is not there can be asked for, but not opened", () => {
  using dir = new Scratch();
  const error = assertThrows(() => openForeign(dir.at("absent"), LIMIT), ForeignFileError);
  assertEquals(error.message, `${dir.at("absent")} does not exist`);
});

Deno.test("an opened file tells its size, and reads no more once it is closed", () => {
  using dir = new Scratch();
  const { file, size } = openForeign(dir.file("f", "12345"), LIMIT);
  assertEquals(size, 5);
  assertEquals(file.readSync(new Uint8Array(0)), 0);
  file.close();
  file.close();
  assertThrows(() => file.readSync(new Uint8Array(1)), ForeignFileError, "it is closed");
});

Deno.test("text that is not UTF-8 is refused", () => {
  using dir = new Scratch();
  const path = dir.file("f", new Uint8Array([0x76, 0xff]));
  assertThrows(() => readForeignText(path, LIMIT), ForeignFileError, "is not UTF-8 text");
});

Deno.test("a marker of several lines or with control characters is refused", () => {
  using dir = new Scratch();
  for (const content of ["a\nb", "a\x1b[2Jb", "a\0b", "a\u0085b", "a\u2028b", "a\tb"]) {
    const path = dir.file("f", content);
    assertThrows(() => readForeignLine(path, LIMIT), ForeignFileError, "is not one line of text");
  }
});

Deno.test("only a real directory is one", () => {
  using dir = new Scratch();
  assertEquals(isRealDirectory(dir.path), true);
  assertEquals(isRealDirectory(dir.at("absent")), false);
  Deno.symlinkSync(dir.path, dir.at("link"));
  dir.file("file", "x");
  for (const name of ["link", "file"]) {
    assertThrows(() => isRealDirectory(dir.at(name)), ForeignFileError, "not a directory");
  }
});

Deno.test({
  name: "a file that may not be read is refused with the reason",
  ignore: skip("root may read everything", { when: IS_ROOT }),
  fn() {
    using dir = new Scratch();
    const path = dir.file("f", "x");
    Deno.chmodSync(path, 0);
    const error = assertThrows(() => readForeign(path, LIMIT));
    assertInstanceOf(error, ForeignFileError);
    assert(/permission denied|EACCES/.test(describeError(error).message));
  },
});
