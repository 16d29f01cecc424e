import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { parseArgs, type ParseOptions } from "@std/cli";
import { parseArgs as fromSubpath } from "@std/cli/parse-args";

/** What a command line becomes without any option. */
const UNTYPED: [string[], Record<string, unknown>][] = [
  [[], { _: [] }],
  [["a", "b"], { _: ["a", "b"] }],
  [["--bool"], { bool: true, _: [] }],
  [["--pow", "xixxle"], { pow: "xixxle", _: [] }],
  [["--pow=xixxle"], { pow: "xixxle", _: [] }],
  [["--a=b=c"], { a: "b=c", _: [] }],
  [["--host", "h", "--port", "555", "-x"], { host: "h", port: 555, x: true, _: [] }],
  [["--no-moo"], { "no-moo": true, _: [] }],
  [["-v", "a", "-v", "b"], { v: "b", _: [] }],
  [["-cats"], { c: true, a: true, t: true, s: true, _: [] }],
  [["-cats", "meow"], { c: true, a: true, t: true, s: "meow", _: [] }],
  [["-fp", "555", "script.js"], { f: true, p: 555, _: ["script.js"] }],
  [["-n123"], { n: 123, _: [] }],
  [["-123", "456"], { 1: true, 2: true, 3: 456, _: [] }],
  [["-b=123"], { b: 123, _: [] }],
  [["-f=abc=def", "-e=="], { f: "abc=def", e: "=", _: [] }],
  [["-I/foo/bar"], { I: "/foo/bar", _: [] }],
  [["-xyz/foo/bar"], { x: true, y: true, z: "/foo/bar", _: [] }],
  [["-"], { _: ["-"] }],
  [["-n", "-"], { n: "-", _: [] }],
  [["-f-"], { f: "-", _: [] }],
  [["-a", "-b"], { a: true, b: true, _: [] }],
  [["--a", "-5"], { a: true, 5: true, _: [] }],
  [["-a", "--", "-b", "5"], { a: true, _: ["-b", "5"] }],
  [["-x", "1234", "-z", "1e7", "-w", "10f", "789"], { x: 1234, z: 1e7, w: "10f", _: [789] }],
  [["--hex", "0xff", "0x10"], { hex: 255, _: [16] }],
  [["-x", "\t", " "], { x: "\t", _: [" "] }],
  [["-s", "X\nX", "--t=X\nX"], { s: "X\nX", t: "X\nX", _: [] }],
  [["--flag", "true", "x"], { flag: "true", _: ["x"] }],
  [["--a.b", "3", "--a.c.d", "4", "--a.e"], { a: { b: 3, c: { d: 4 }, e: true }, _: [] }],
  [["--toString", "--valueOf", "foo"], { toString: true, valueOf: "foo", _: [] }],
];

Deno.test("without options every form of a flag is understood", () => {
  for (const [args, expected] of UNTYPED) assertEquals(parseArgs(args), expected, args.join(" "));
});

Deno.test("both names of the module lead to the same function", () => {
  assertStrictEquals(fromSubpath, parseArgs);
});

Deno.test("a boolean takes no value except a plain true or false, and is false by default", () => {
  const read = (...args: string[]) => parseArgs(args, { boolean: ["verbose", "t"] });
  assertEquals(read("--verbose", "moo"), { verbose: true, t: false, _: ["moo"] });
  assertEquals(read("--verbose", "false", "-t", "true"), { verbose: false, t: true, _: [] });
  assertEquals(read("--verbose=false", "-t", "true123"), {
    verbose: false,
    t: true,
    _: ["true123"],
  });
  assertEquals(parseArgs(["-b", "-"], { boolean: "b" }), { b: true, _: ["-"] });
});

Deno.test("boolean: true makes all long flags without = boolean", () => {
  assertEquals(parseArgs(["moo", "--honk", "cow", "-p", "55", "--t=good"], { boolean: true }), {
    honk: true,
    t: "good",
    p: 55,
    _: ["moo", "cow"],
  });
});

Deno.test("a string keeps its digits and is empty without a value", () => {
  assertEquals(parseArgs(["-s", "0001234"], { string: "s" }).s, "0001234");
  assertEquals(parseArgs(["--str=0x1"], { string: ["str"] }).str, "0x1");
  assertEquals(parseArgs(["--str"], { string: ["str"] }).str, "");
  assertEquals(parseArgs(["-art"], { string: ["a", "t"] }), { a: "", r: true, t: "", _: [] });
  const rest: unknown = parseArgs(["1", "2"], { string: "_" })._;
  assertEquals(rest, ["1", "2"]);
  assertEquals(parseArgs([], { string: ["str"] }), { _: [] });
});

Deno.test("an alias gives and takes the value of all its names", () => {
  const alias = { z: ["zm", "zoom"] };
  for (const args of [["-z", "55"], ["--zoom", "55"], ["--zm=55"]]) {
    assertEquals(parseArgs(args, { alias }), { z: 55, zm: 55, zoom: 55, _: [] });
  }
  const options = { boolean: "herp", alias: { h: "herp" } } as const;
  assertEquals(parseArgs(["-h", "derp"], options), { h: true, herp: true, _: ["derp"] });
  assertEquals(parseArgs([], options), { h: false, herp: false, _: [] });
  assertEquals(parseArgs(["-s", "01"], { string: "str", alias: { str: "s" } }), {
    s: "01",
    str: "01",
    _: [],
  });
  const nothing = { a: undefined } as unknown as Record<string, string>;
  assertThrows(() => parseArgs([], { alias: nothing }), TypeError, "Alias value must be defined");
});

Deno.test("a default stands in for what is not given, and only for that", () => {
  const options = {
    boolean: ["maybe"],
    default: { maybe: null, "a.b": 11, other: "x" },
    alias: { "a.b": "aa.bb" },
  };
  assertEquals(parseArgs([], options), {
    maybe: null,
    a: { b: 11 },
    aa: { bb: 11 },
    other: "x",
    _: [],
  });
  assertEquals(parseArgs(["--maybe", "--a.b", "22", "--other="], options), {
    maybe: true,
    a: { b: 22 },
    aa: { bb: 22 },
    other: "x",
    "other=": true,
    _: [],
  });
});

Deno.test("a collected option is a list, any other has its last value", () => {
  const args = ["--list", "a", "--list=b", "-l", "c", "--one", "1", "--one", "2", "--b", "--b"];
  const options = {
    string: ["list", "none"],
    boolean: ["b"],
    collect: ["list", "none", "b"],
    alias: { list: "l" },
  } as const;
  assertEquals(parseArgs(args, options), {
    list: ["a", "b", "c"],
    l: ["a", "b", "c"],
    none: [],
    b: [true, true],
    one: 2,
    _: [],
  });
  assertEquals(parseArgs(["--x", "1"], { collect: ["x"] }), { x: [1], _: [] });
});

Deno.test("--no- turns off what is negatable and nothing else", () => {
  const options = { boolean: ["foo"], negatable: ["foo"], alias: { foo: "f" } } as const;
  assertEquals(parseArgs(["--foo", "--no-foo"], options), { foo: false, f: false, _: [] });
  assertEquals(parseArgs(["--no-foo", "--foo"], options), { foo: true, f: true, _: [] });
  assertEquals(parseArgs(["--no-foo", "123"], options)._, [123]);
  assertEquals(
    parseArgs(["--s", "1", "--no-s"], { string: ["s"], collect: ["s"], negatable: ["s"] }).s,
    false as unknown as string[],
  );
});

Deno.test("stopEarly leaves everything from the first argument on alone", () => {
  assertEquals(parseArgs(["--aaa", "bbb", "5", "--ddd", "6"], { stopEarly: true }), {
    aaa: "bbb",
    _: [5, "--ddd", "6"],
  });
});

Deno.test("what stands after -- is kept apart on request", () => {
  const args = ["--name", "John", "before", "--", "after", "--x", "5"];
  assertEquals(parseArgs(args, { "--": true }), {
    name: "John",
    _: ["before"],
    "--": ["after", "--x", "5"],
  });
  assertEquals(parseArgs(args, { "--": false })._, ["before", "after", "--x", "5"]);
  assertEquals(parseArgs([], { "--": true })["--"], []);
});

Deno.test("unknown is told of everything that is not defined and may leave it out", () => {
  const told: unknown[][] = [];
  const options: ParseOptions = {
    boolean: ["h"],
    string: ["s"],
    collect: ["c"],
    alias: { h: "herp" },
    unknown: (...all) => {
      told.push(all);
      return false;
    },
  };
  const args = ["--herp", "-s", "x", "--c", "y", "--derp", "true", "-d", "5", "arg", "-ef=1"];
  assertEquals(parseArgs(args, options), { h: true, herp: true, s: "x", c: ["y"], _: [] });
  assertEquals(told, [
    ["--derp", "derp", "true"],
    ["-d", "d", "5"],
    ["arg"],
    ["-ef=1", "e", "1"],
  ]);
});

Deno.test("unknown may keep what it is told of, and hears nothing of --", () => {
  const told: string[] = [];
  const unknown = (arg: string) => void told.push(arg);
  assertEquals(parseArgs(["-x", "--", "y"], { unknown }), { x: true, _: ["y"] });
  assertEquals(told, ["-x"]);
});

Deno.test("defined names have a type in the result", () => {
  const args = parseArgs(["-b", "--many", "x", "--port", "80"], {
    boolean: ["b"],
    string: ["one", "many", "port"],
    collect: ["many"],
    default: { port: "1" },
    "--": true,
  });
  const b: boolean = args.b;
  const one: string | undefined = args.one;
  const many: string[] = args.many;
  const port: string = args.port;
  const rest: (string | number)[] = args._;
  const dashes: string[] = args["--"];
  const other: unknown = args.other;
  assertEquals([b, one, many, port, rest, dashes, other], [
    true,
    undefined,
    ["x"],
    "80",
    [],
    [],
    undefined,
  ]);
});

Deno.test("names that are only known when it runs are fine, too", () => {
  const names: string[] = ["a", "b"];
  const parsed: Record<string, unknown> = parseArgs(["--a", "1", "--b"], {
    string: names.slice(0, 1),
    boolean: names.slice(1),
    collect: [] as string[],
  });
  assertEquals(parsed.a, "1");
  assertEquals(parsed.b, true);
});
