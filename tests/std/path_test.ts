import { posix } from "node:path";
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  basename,
  common,
  dirname,
  extname,
  format,
  fromFileUrl,
  isAbsolute,
  join,
  normalize,
  parse,
  relative,
  resolve,
  SEPARATOR,
  toFileUrl,
} from "@std/path";

/** The longest path of the generator, in pieces: 5 pieces of 9 kinds are 66 429 paths. */
const MAX_PIECES = 5;
const PIECES = ["/", ".", "..", "a", "b", ".c", "d.e", "//", "f."];

/** Every path of up to `MAX_PIECES` pieces, and nothing. */
function* allPaths(length = MAX_PIECES): Generator<string> {
  yield "";
  if (length === 0) return;
  for (const rest of allPaths(length - 1)) {
    if (rest === "" || rest.length > 0) { for (const piece of PIECES) yield piece + rest; }
  }
}

/** The same numbers in every run: a failing pair must fail again. */
function* somePairs(count: number): Generator<[string, string]> {
  const paths = [...new Set(allPaths(4))];
  let seed = 12345;
  const next = () => paths[(seed = (seed * 1103515245 + 12345) % 2147483648) % paths.length] ?? "";
  for (let i = 0; i < count; i++) yield [next(), next()];
}

function assertSame(name: string, path: unknown, actual: unknown, expected: unknown): void {
  if (actual !== expected) assertEquals(actual, expected, `${name}(${JSON.stringify(path)})`);
}

Deno.test("basename, extname, isAbsolute and normalize agree with node:path on every path", () => {
  for (const path of allPaths()) {
    assertSame("basename", path, basename(path), path !== "" ? posixBasename(path) : "");
    assertSame("extname", path, extname(path), posix.extname(path));
    assertSame("isAbsolute", path, isAbsolute(path), posix.isAbsolute(path));
    assertSame("normalize", path, normalize(path), posix.normalize(path));
  }
});

/** Only of the root does the published package say more than node: its name is `/`. */
function posixBasename(path: string): string {
  return /^\/+$/.test(path) ? "/" : posix.basename(path);
}

Deno.test("dirname agrees with node:path except that it leaves no slash at the end", () => {
  for (const path of allPaths()) {
    const expected = posix.dirname(path).replace(/(?<=.)\/+$/, "");
    assertSame("dirname", path, dirname(path), expected === "//" ? "/" : expected);
  }
});

Deno.test("join, resolve and relative agree with node:path on pairs of paths", () => {
  for (const [a, b] of somePairs(40_000)) {
    assertSame("join", [a, b], join(a, b), posix.join(a, b));
    assertSame("resolve", [a, b], resolve(a, b), posix.resolve(a, b));
    assertSame("relative", [a, b], relative(a, b), posix.relative(a, b));
  }
});

Deno.test("what parse takes apart, format puts together", () => {
  for (const path of allPaths(4)) {
    const parsed = parse(path);
    assertSame("parse.root", path, parsed.root, posix.parse(path).root);
    assertSame("parse.base", path, parsed.base, basename(path));
    assertSame("parse.ext", path, parsed.ext, extname(path));
    if (!/\/$|\/\//.test(path)) assertSame("format", path, format(parsed), path);
  }
  assertEquals(parse("/home/user/dir/file.txt"), {
    root: "/",
    dir: "/home/user/dir",
    base: "file.txt",
    ext: ".txt",
    name: "file",
  });
  assertEquals(parse("./"), { root: "", dir: "", base: ".", ext: "", name: "." });
  assertEquals(parse("//"), { root: "/", dir: "/", base: "/", ext: "", name: "" });
  assertEquals(parse("/foo///").dir, "/");
  assertEquals(parse("/foo///bar.baz").dir, "/foo");
  assertEquals(parse("").dir, "");
});

Deno.test("format takes dir before root and base before name and ext", () => {
  assertEquals(format({ dir: "some/dir" }), "some/dir/");
  assertEquals(format({ root: "/" }), "/");
  assertEquals(format({ root: "/", name: "index", ext: ".html" }), "/index.html");
  assertEquals(format({ dir: "d", root: "/", base: "b", name: "n" }), "d/b");
  assertEquals(format({}), "");
});

Deno.test("basename takes a suffix off, but never the whole name", () => {
  assertEquals(basename("/a/b.tar.gz", ".gz"), "b.tar");
  assertEquals(basename("/a/b.tar.gz/", ".gz"), "b.tar");
  assertEquals(basename("/a/.gz", ".gz"), ".gz");
  assertEquals(basename("/a/b", ".gz"), "b");
});

Deno.test("resolve begins in the current directory", () => {
  assertEquals(resolve("x"), join(Deno.cwd(), "x"));
  assertEquals(resolve(), Deno.cwd());
  assertEquals(relative(Deno.cwd(), "x/y"), "x/y");
});

Deno.test("common is the beginning that all paths share", () => {
  assertEquals(common(["./deno/std/path/mod.ts", "./deno/std/fs/mod.ts"]), "./deno/std/");
  assertEquals(common(["/a/b/c", "/a/b/c"]), "/a/b/c");
  assertEquals(common(["/a/b/c"]), "/a/b/c");
  assertEquals(common(["a/b", "c/d"]), "");
  assertEquals(common(["", "/"]), "");
  assertEquals(common(["/", ""]), "");
});

Deno.test("a path survives the way into a file URL and back", () => {
  for (const path of ["/", "/a b", "/%41", "/100%", "/a\\b", "/q?r#s", "/tab\tnl\n", "/ü/日本"]) {
    const url = toFileUrl(path);
    assertEquals(url.protocol, "file:");
    assertEquals(url.search + url.hash, "");
    assertEquals(fromFileUrl(url), path);
    assertEquals(fromFileUrl(url.href), path);
  }
  assertEquals(toFileUrl("/home/foo bar").href, "file:///home/foo%20bar");
  assertEquals(fromFileUrl("file:///a%"), "/a%");
});

Deno.test("what is no file URL and no absolute path is refused", () => {
  assertThrows(() => fromFileUrl("http://host/a"), TypeError, 'received "http:"');
  assertThrows(() => toFileUrl("a/b"), TypeError, "absolute");
});

Deno.test("a caller without types gets a TypeError instead of a wrong path", () => {
  const wrong = 1 as unknown as string;
  for (const call of [basename, dirname, extname, normalize, parse, resolve, isAbsolute]) {
    assertThrows(() => call(wrong), TypeError);
  }
  assertThrows(() => join("a", wrong), TypeError, "Path must be a string");
  assertThrows(() => relative("a", wrong), TypeError, "Path must be a string");
});

Deno.test("the separator is the one of this system", () => {
  assertStrictEquals(SEPARATOR, "/");
  assert(join("a", "b").includes(SEPARATOR));
});
