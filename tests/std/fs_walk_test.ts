import { assert, assertEquals, assertRejects } from "@std/assert";
import type { WalkOptions } from "@std/fs";
import { join, toFileUrl } from "@std/path";
import { type Functions, plant, test } from "./_fs_helpers.ts";

/** What walk gives below `dir`, as paths without it; directories with a slash. */
async function walked(fs: Functions, dir: string, options?: WalkOptions): Promise<string[]> {
  const result: string[] = [];
  for await (const entry of fs.walk(dir, options)) {
    assertEquals(entry.path.startsWith(dir), true);
    // The name is the one it was found by, the path of a followed link leads elsewhere.
    assertEquals(entry.path.endsWith(entry.name), !entry.isSymlink || !options?.followSymlinks);
    result.push(entry.path.slice(dir.length) + (entry.isDirectory ? "/" : ""));
  }
  return result.sort();
}

function forest(dir: string): void {
  plant(dir, { "a.ts": "", "b.js": "", "d/": "", "d/c.ts": "", "d/e/": "", "d/e/f.ts": "" });
  plant(dir, { link: "-> a.ts", toDir: "-> d/e" });
}

test("walk gives the root and everything below it", async (dir, fs) => {
  forest(dir);
  const all = ["/", "/a.ts", "/b.js", "/d/", "/d/c.ts", "/d/e/", "/d/e/f.ts", "/link", "/toDir"];
  assertEquals(await walked(fs, dir), all);
  const parents: string[] = [];
  for await (const { path, isDirectory } of fs.walk(toFileUrl(dir))) {
    if (path !== dir) assert(parents.includes(join(path, "..")), `${path} before its directory`);
    if (isDirectory) parents.push(path);
  }
});

test("walk gives the kinds asked for, down to the depth asked for", async (dir, fs) => {
  forest(dir);
  assertEquals(await walked(fs, dir, { maxDepth: 0 }), ["/"]);
  assertEquals(await walked(fs, dir, { maxDepth: -1 }), []);
  assertEquals(await walked(fs, dir, { maxDepth: 2, includeSymlinks: false }), [
    "/",
    "/a.ts",
    "/b.js",
    "/d/",
    "/d/c.ts",
    "/d/e/",
  ]);
  assertEquals(await walked(fs, dir, { includeDirs: false, includeSymlinks: false }), [
    "/a.ts",
    "/b.js",
    "/d/c.ts",
    "/d/e/f.ts",
  ]);
  assertEquals(await walked(fs, dir, { includeFiles: false, includeSymlinks: false }), [
    "/",
    "/d/",
    "/d/e/",
  ]);
});

test("walk gives the paths asked for and does not enter what is to be skipped", async (dir, fs) => {
  forest(dir);
  assertEquals(await walked(fs, dir, { exts: [".js"] }), ["/b.js"]);
  assertEquals(await walked(fs, dir, { exts: ["ts", "js"], includeSymlinks: false }), [
    "/a.ts",
    "/b.js",
    "/d/c.ts",
    "/d/e/f.ts",
  ]);
  assertEquals(await walked(fs, dir, { match: [/c\.ts$/g, /f\.ts$/g] }), [
    "/d/c.ts",
    "/d/e/f.ts",
  ]);
  assertEquals(await walked(fs, dir, { skip: [/\/d$/], includeSymlinks: false }), [
    "/",
    "/a.ts",
    "/b.js",
  ]);
});

test("walk follows links on request", async (dir, fs) => {
  forest(dir);
  const real = Deno.realPathSync(dir);
  const canonical = await walked(fs, real, { followSymlinks: true, exts: ["ts"] });
  assertEquals(canonical, ["/a.ts", "/a.ts", "/d/c.ts", "/d/e/f.ts", "/d/e/f.ts"].sort());
});

test("walk follows links under their own path without canonicalize", async (dir, fs) => {
  forest(dir);
  const options = { followSymlinks: true, canonicalize: false, includeDirs: false };
  const paths: string[] = [];
  for await (const { path } of fs.walk(dir, options)) paths.push(path.slice(dir.length));
  assertEquals(paths.sort(), [
    "/a.ts",
    "/b.js",
    "/d/c.ts",
    "/d/e/f.ts",
    "/link",
    "/toDir/f.ts",
  ]);
});

test("walk of nothing fails", async (dir, fs) => {
  await assertRejects(() => walked(fs, join(dir, "no")), Deno.errors.NotFound);
});
