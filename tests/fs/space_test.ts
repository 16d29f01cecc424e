import { assert, assertEquals, assertThrows } from "@std/assert";
import { OngridError } from "../../lib/cli/errors.ts";
import { freeBytes } from "../../lib/fs/space.ts";
import { runProgram } from "./process.ts";
import { Scratch } from "./scratch.ts";

Deno.test("free space is what df says, give or take what others write meanwhile", () => {
  using dir = new Scratch();
  const { stdout } = new Deno.Command("df", {
    args: ["-B1", "--output=avail", dir.path],
  }).outputSync();
  const expected = Number(new TextDecoder().decode(stdout).trim().split("\n").at(-1));
  const difference = Math.abs(freeBytes(dir.path) - expected);
  assert(difference < 2 ** 30, `${difference} bytes apart`);
});

Deno.test("for a path that does not exist yet its nearest parent is asked", () => {
  using dir = new Scratch();
  assert(freeBytes(dir.at("a/b/c")) > 0);
  assert(freeBytes("not-there/at-all") > 0);
  assert(freeBytes("/not-there-at-all") > 0);
});

Deno.test("a path that cannot be is named", () => {
  using dir = new Scratch();
  const path = `${dir.file("file", "x")}/below`;
  assertThrows(() => freeBytes(path), OngridError, `Cannot tell the free space at ${path}`);
});

Deno.test("it needs the permission statfs and no other for the system", async () => {
  using dir = new Scratch();
  const code = `try { console.log(freeBytes(".") > 0); } catch (e) { console.log(e.name); }`;
  const run = async (...extra: string[]) => {
    const denoArgs = [`--allow-read=${dir.path}`, ...extra];
    return (await runProgram(code, { cwd: dir.path, denoArgs })).stdout.trim();
  };
  assertEquals(await run("--allow-sys=statfs"), "true");
  assertEquals(await run(), "OngridError");
});
