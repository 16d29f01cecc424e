import {
  assert,
  assertEquals,
  assertFalse,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { ensureDirSync, moveSync } from "@std/fs";
import { join, toFileUrl } from "@std/path";
import { plant, test, tree } from "./_fs_helpers.ts";

test("ensureDir makes all that is missing and is content with what is there", async (dir, fs) => {
  plant(dir, { "there/": "", "there/file": "x", "link": "-> there" });
  await fs.ensureDir(join(dir, "a/b/c"));
  await fs.ensureDir(toFileUrl(join(dir, "u")));
  await fs.ensureDir(join(dir, "there"));
  await fs.ensureDir(join(dir, "link"));
  assertEquals(Object.keys(tree(dir)).sort(), [
    "a/",
    "a/b/",
    "a/b/c/",
    "link",
    "there/",
    "there/file",
    "u/",
  ]);
});

test("ensureDir says what is in its place", async (dir, fs) => {
  plant(dir, { file: "x" });
  await assertRejects(
    () => fs.ensureDir(join(dir, "file")),
    Error,
    "Failed to ensure directory exists: expected 'dir', got 'file'",
  );
  assertEquals(tree(dir), { file: "x" });
});

test(
  "ensureFile makes an empty file, with its directories, or leaves it alone",
  async (dir, fs) => {
    plant(dir, { file: "x", "d/": "" });
    await fs.ensureFile(join(dir, "file"));
    await fs.ensureFile(join(dir, "a/b/new"));
    await assertRejects(
      () => fs.ensureFile(join(dir, "d")),
      Error,
      "Failed to ensure file exists: expected 'file', got 'dir'",
    );
    assertEquals(tree(dir), { file: "x", "a/": "", "a/b/": "", "a/b/new": "", "d/": "" });
  },
);

test("emptyDir removes everything but the directory, and makes it when absent", async (dir, fs) => {
  plant(dir, { "full/": "", "full/file": "x", "full/d/": "", "full/d/file": "y", kept: "z" });
  plant(dir, { "full/link": "-> ../kept" });
  await fs.emptyDir(join(dir, "full"));
  await fs.emptyDir(toFileUrl(join(dir, "new/one")));
  assertEquals(tree(dir), { "full/": "", kept: "z", "new/": "", "new/one/": "" });
});

test("emptyDir of a file fails and leaves it alone", async (dir, fs) => {
  plant(dir, { file: "x" });
  await assertRejects(() => fs.emptyDir(join(dir, "file")), Deno.errors.NotADirectory);
  assertEquals(tree(dir), { file: "x" });
});

test("exists tells files from directories and follows links", async (dir, fs) => {
  plant(dir, { file: "x", "d/": "", toFile: "-> file", toDir: "-> d", dangling: "-> nothing" });
  const kinds = [{}, { isFile: true }, { isDirectory: true }];
  const judge = async (name: string) =>
    await Promise.all(kinds.map((kind) => fs.exists(join(dir, name), kind)));
  assertEquals(await judge("file"), [true, true, false]);
  assertEquals(await judge("toFile"), [true, true, false]);
  assertEquals(await judge("d"), [true, false, true]);
  assertEquals(await judge("toDir"), [true, false, true]);
  assertEquals(await judge("dangling"), [false, false, false]);
  assertEquals(await judge("nothing"), [false, false, false]);
  assert(await fs.exists(toFileUrl(join(dir, "file"))));
});

test("exists goes by the mode when asked for what is readable", async (dir, fs) => {
  plant(dir, { file: "x" });
  const file = join(dir, "file");
  Deno.chmodSync(file, 0o600);
  assert(await fs.exists(file, { isReadable: true, isFile: true }));
  Deno.chmodSync(file, 0o044);
  assertFalse(await fs.exists(file, { isReadable: true }));
});

test("exists refuses to look for a file that is a directory", async (dir, fs) => {
  await assertRejects(
    () => fs.exists(dir, { isFile: true, isDirectory: true }),
    TypeError,
    "must not be true together",
  );
});

test("move takes a file or a whole directory along", async (dir, fs) => {
  plant(dir, { file: "x", "d/": "", "d/inner": "y" });
  await fs.move(join(dir, "file"), join(dir, "d/file"));
  await fs.move(toFileUrl(join(dir, "d")), toFileUrl(join(dir, "e")));
  assertEquals(tree(dir), { "e/": "", "e/inner": "y", "e/file": "x" });
});

test("move overwrites on request alone", async (dir, fs) => {
  plant(dir, { a: "x", b: "y", "d/": "", "d/file": "z", dangling: "-> nothing" });
  const before = tree(dir);
  for (const dest of ["b", "d", "dangling"]) {
    await assertRejects(
      () => fs.move(join(dir, "a"), join(dir, dest)),
      Deno.errors.AlreadyExists,
      "dest already exists",
    );
  }
  assertEquals(tree(dir), before);
  await fs.move(join(dir, "a"), join(dir, "d"), { overwrite: true });
  await fs.move(join(dir, "b"), join(dir, "new"), { overwrite: true });
  assertEquals(tree(dir), { d: "x", new: "y", dangling: "-> nothing" });
});

test("move never takes a directory into itself, nor a file from itself", async (dir, fs) => {
  plant(dir, { "d/": "", "d/file": "x", dd: "y" });
  for (const dest of ["d", "d/e", "d/e/f"]) {
    for (const overwrite of [false, true]) {
      await assertRejects(
        () => fs.move(join(dir, "d"), join(dir, dest), { overwrite }),
        Deno.errors.NotSupported,
        "to a subdirectory of itself",
      );
    }
  }
  await fs.move(join(dir, "dd"), join(dir, "dd"), { overwrite: true });
  await assertRejects(() => fs.move(join(dir, "no"), join(dir, "dd")), Deno.errors.NotFound);
  assertEquals(tree(dir), { "d/": "", "d/file": "x", dd: "y" });
});

test("copy copies files, links as links, and directories with all in them", async (dir, fs) => {
  const content = { file: "x", "d/": "", "d/inner": "y", "d/link": "-> inner", empty: "" };
  plant(dir, { "src/": "" });
  plant(join(dir, "src"), content);
  await fs.copy(join(dir, "src"), join(dir, "a/b/dest"));
  assertEquals(tree(join(dir, "a/b/dest")), content);
  await fs.copy(toFileUrl(join(dir, "src/file")), toFileUrl(join(dir, "file")));
  await fs.copy(join(dir, "src/d/link"), join(dir, "link"));
  assertEquals(Deno.readTextFileSync(join(dir, "file")), "x");
  assertEquals(Deno.readLinkSync(join(dir, "link")), "inner");
  assertEquals(tree(join(dir, "src")), content);
});

test("copy replaces and merges on request alone", async (dir, fs) => {
  plant(dir, { "a/": "", "a/file": "new", "b/": "", "b/file": "old", "b/kept": "z" });
  const [a, b] = [join(dir, "a"), join(dir, "b")];
  await assertRejects(() => fs.copy(a, b), Deno.errors.AlreadyExists, "already exists");
  await assertRejects(
    () => fs.copy(join(a, "file"), join(b, "file")),
    Deno.errors.AlreadyExists,
    `'${join(b, "file")}' already exists`,
  );
  assertEquals(tree(b), { file: "old", kept: "z" });
  await fs.copy(a, b, { overwrite: true });
  assertEquals(tree(b), { file: "new", kept: "z" });
});

test("copy keeps the time of modification on request", async (dir, fs) => {
  plant(dir, { "a/": "", "a/file": "x" });
  const then = new Date("2001-02-03T04:05:06Z");
  Deno.utimeSync(join(dir, "a/file"), then, then);
  await fs.copy(join(dir, "a"), join(dir, "b"), { preserveTimestamps: true });
  assertEquals(Deno.statSync(join(dir, "b/file")).mtime, then);
  await fs.copy(join(dir, "a"), join(dir, "c"));
  assertNotEquals(Deno.statSync(join(dir, "c/file")).mtime, then);
});

test("copy refuses what can have no result", async (dir, fs) => {
  plant(dir, { "d/": "", "d/file": "x", file: "y" });
  const before = tree(dir);
  const [d, file] = [join(dir, "d"), join(dir, "file")];
  await assertRejects(() => fs.copy(d, d), Error, "Source and destination cannot be the same");
  await assertRejects(() => fs.copy(d, join(d, "e")), Error, "to a subdirectory of itself");
  await assertRejects(
    () => fs.copy(d, file, { overwrite: true }),
    Error,
    `Cannot overwrite non-directory '${file}' with directory '${d}'`,
  );
  await assertRejects(() => fs.copy(join(dir, "no"), join(dir, "e")), Deno.errors.NotFound);
  assertEquals(tree(dir), before);
});

Deno.test("the functions in one go throw before they return", () => {
  assertThrows(() => ensureDirSync("/dev/null"), Error, "expected 'dir'");
  assertThrows(() => moveSync("/nonexistent/a", "/nonexistent/b"), Deno.errors.NotFound);
});
