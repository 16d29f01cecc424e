import {
  assert,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  equal,
  fail,
  unreachable,
} from "@std/assert";
import { failure, same } from "./_assert_helpers.ts";

class Point {
  #hidden = 1;
  constructor(readonly x: number) {}
  get hidden(): number {
    return this.#hidden;
  }
}
class Subpoint extends Point {}
const here = new URL("file:///here");

Deno.test("equal takes for equal what has the same content", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const otherCycle: Record<string, unknown> = {};
  otherCycle.self = otherCycle;
  const pairs: [unknown, unknown][] = [
    [0, -0],
    [NaN, NaN],
    [[1, [2, 3]], [1, [2, 3]]],
    [{ a: 1, b: { c: 2 } }, { b: { c: 2 }, a: 1 }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [{ [Symbol.for("a")]: 1 }, { [Symbol.for("a")]: 1 }],
    [new Date(5), new Date(5)],
    [new Date(NaN), new Date(NaN)],
    [/a/g, /a/g],
    [new URL("http://a/b"), new URL("http://a/b")],
    [new Set([1, { a: 1 }]), new Set([{ a: 1 }, 1])],
    [new Map([["a", [1]], ["b", [2]]]), new Map([["b", [2]], ["a", [1]]])],
    [new Map([[{ k: 1 }, 1]]), new Map([[{ k: 1 }, 1]])],
    [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    [new Uint8Array([1, 2]).buffer, new Uint8Array([1, 2]).buffer],
    [new Point(1), new Point(1)],
    [new WeakRef(here), new WeakRef(here)],
    [cycle, otherCycle],
  ];
  for (const [a, b] of pairs) same(equal(a, b), true);
});

Deno.test("equal tells apart what differs in content, kind or class", () => {
  const symbol = Symbol("a");
  const pairs: [unknown, unknown][] = [
    [1, "1"],
    [null, undefined],
    [{ a: undefined }, {}],
    [{ a: undefined, b: 1 }, { c: undefined, b: 1 }],
    [[1, 2], [2, 1]],
    [[1], { 0: 1, length: 1 }],
    [{ [symbol]: 1 }, { [Symbol("a")]: 1 }],
    [new Date(5), new Date(6)],
    [/a/g, /a/i],
    [new URL("http://a/b"), new URL("http://a/c")],
    [new Set([1, 2]), new Set([1, 3])],
    [new Map([["a", 1]]), new Map([["a", 2]])],
    [new Map([[{ k: 1 }, 1]]), new Map([[{ k: 2 }, 1]])],
    [new Uint8Array([1, 2]), new Uint8Array([1, 3])],
    [new Uint8Array([1]), new Uint8Array([1, 2])],
    [new Uint8Array([1]), new Int8Array([1])],
    [new Point(1), new Point(2)],
    [new Point(1), new Subpoint(1)],
    [new Point(1), { x: 1, hidden: 1 }],
    [() => 1, () => 1],
  ];
  for (const [a, b] of pairs) {
    same(equal(a, b), false);
    same(equal(b, a), false);
  }
});

Deno.test("equal refuses to judge what it cannot look into", () => {
  assertThrows(() => equal(new WeakMap(), new WeakMap()), TypeError, "WeakMap");
  assertThrows(() => equal(new WeakSet(), new WeakSet()), TypeError, "WeakSet");
});

Deno.test("assertEquals shows what is missing and what is too much, line by line", () => {
  assertEquals({ a: [1, 2] }, { a: [1, 2] });
  const message = failure(() => assertEquals({ a: 1, b: 2, c: 3 }, { a: 1, b: 5, c: 3 }, "why"));
  assertStringIncludes(message, "Values are not equal: why");
  assertMatch(message, /^-\s+b: 2,$/m);
  assertMatch(message, /^\+\s+b: 5,$/m);
  assertMatch(message, /^\s+a: 1,$/m);
  const lines = failure(() => assertEquals("one\ntwo\nthree", "one\n2\nthree"));
  assertMatch(lines, /^-\s+two/m);
  assertMatch(lines, /^\+\s+2/m);
});

Deno.test("assertEquals shows a large difference without taking forever", () => {
  const numbers = Array.from({ length: 3000 }, (_, i) => i);
  const message = failure(() => assertEquals(numbers, numbers.map((number) => -number - 1)));
  assertStringIncludes(message, "2999");
  assertStringIncludes(message, "-3000");
});

Deno.test("assertNotEquals fails for deeply equal values", () => {
  assertNotEquals<unknown>({ a: 1 }, { a: 2 });
  assertStringIncludes(failure(() => assertNotEquals([1], [1], "why")), "not to be: ");
});

Deno.test("assertStrictEquals wants the same object, not an equal one", () => {
  const one = {};
  assertStrictEquals(one, one);
  assertStrictEquals(NaN, NaN);
  assertStringIncludes(
    failure(() => assertStrictEquals({}, {}, "why")),
    "same structure but are not reference-equal: why",
  );
  assertStringIncludes(failure(() => assertStrictEquals(0, -0)), "not strictly equal.");
  assertNotStrictEquals({}, {});
  assertStringIncludes(failure(() => assertNotStrictEquals(1, 1)), "strictly equal to: 1");
});

Deno.test("assert and assertFalse go by truth and narrow the type", () => {
  const value: string | undefined = ["text"].at(0);
  assert(value);
  same(value.length, 4);
  same(failure(() => assert(0, "why")), "why");
  same(failure(() => assert("")), "");
  const nothing: 0 | "text" = [0 as const].at(0) ?? "text";
  assertFalse(nothing);
  const zero: 0 = nothing;
  same(zero, 0);
  same(failure(() => assertFalse(1, "why")), "why");
});

Deno.test("assertExists fails for null and undefined alone and narrows the type", () => {
  const value: number | null | undefined = [0].at(0);
  assertExists(value);
  same(value.toFixed(), "0");
  assertExists(false);
  assertStringIncludes(failure(() => assertExists(null, "why")), '"null" to not be null');
  assertStringIncludes(failure(() => assertExists(undefined)), '"undefined" to not be null');
});

Deno.test("assertInstanceOf names the class it found and narrows the type", () => {
  const value: unknown = new Subpoint(3);
  assertInstanceOf(value, Point);
  same(value.x, 3);
  assertStringIncludes(failure(() => assertInstanceOf(here, Date)), '"Date" but was "URL"');
  assertStringIncludes(failure(() => assertInstanceOf(null, Date)), '"Date" but was "null"');
  assertStringIncludes(failure(() => assertInstanceOf(1, Date, "why")), 'was "number": why');
  assertStringIncludes(failure(() => assertInstanceOf(Date, Date)), "not an instanced object");
});

Deno.test("the comparisons fail on the wrong side of the boundary", () => {
  assertGreater(2, 1);
  assertGreaterOrEqual(1, 1);
  assertLess(1n, 2n);
  assertLessOrEqual("a", "a");
  same(failure(() => assertGreater(1, 1)), "Expect 1 > 1");
  same(failure(() => assertGreaterOrEqual(0, 1)), "Expect 0 >= 1");
  same(failure(() => assertLess(1, 1)), "Expect 1 < 1");
  same(failure(() => assertLessOrEqual(NaN, 1)), "Expect NaN <= 1");
  same(failure(() => assertLess(1, 1, "why")), "why");
});

Deno.test("the assertions about text show the text", () => {
  assertMatch("abc", /b/);
  assertNotMatch("abc", /d/);
  assertStringIncludes("abc", "bc");
  same(
    failure(() => assertMatch("abc", /d/, "why")),
    'Expected actual: "abc" to match: "/d/": why',
  );
  same(failure(() => assertNotMatch("abc", /b/)), 'Expected actual: "abc" to not match: "/b/".');
  same(failure(() => assertStringIncludes("abc", "d")), 'Expected actual: "abc" to contain: "d".');
});

Deno.test("assertArrayIncludes compares deeply and names what is missing", () => {
  assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]);
  assertArrayIncludes(new Uint8Array([1, 2]), new Uint8Array([2]));
  const message = failure(() => assertArrayIncludes([1, 2], [2, 3]));
  assertMatch(message, /missing: \[\s+3,\s+\]/);
});

Deno.test("assertObjectMatch lets actual have more, at every depth", () => {
  interface Named {
    name: string;
    inner: { list: unknown[]; map: Map<string, unknown>; set: Set<number>; re: RegExp };
  }
  const actual: Named = {
    name: "n",
    inner: {
      list: [{ a: 1, b: 2 }, 3],
      map: new Map<string, unknown>([["k", { a: 1, b: 2 }], ["l", 1]]),
      set: new Set([1, 2]),
      re: /x/,
    },
  };
  assertObjectMatch(actual, { name: "n" });
  assertObjectMatch(actual, {
    inner: { list: [{ a: 1 }], map: new Map([["k", { b: 2 }]]), set: new Set([2]), re: /x/ },
  });
  assertObjectMatch(new Point(1), { x: 1 });
});

Deno.test("assertObjectMatch fails when expected has something else or something more", () => {
  const actual = { a: 1, list: [1], inner: { b: [1, { c: 2 }] }, re: /x/ };
  for (
    const expected of [
      { a: 2 },
      { z: undefined },
      { list: [1, 2] },
      { inner: { b: [1, { c: 3 }] } },
      { inner: { b: [1, { d: 2 }] } },
      { re: /y/ },
      { a: { b: 1 } },
    ]
  ) assertStringIncludes(failure(() => assertObjectMatch(actual, expected)), "not equal");
});

Deno.test("assertObjectMatch copes with cycles", () => {
  const actual: Record<string, unknown> = { a: 1 };
  actual.self = actual;
  const expected: Record<string, unknown> = { a: 1 };
  expected.self = expected;
  assertObjectMatch(actual, expected);
  expected.a = 2;
  failure(() => assertObjectMatch(actual, expected));
});

Deno.test("fail and unreachable never return", () => {
  same(failure(() => fail("why")), "Failed assertion: why");
  same(failure(() => fail()), "Failed assertion.");
  same(failure(() => unreachable("why")), "Unreachable: why");
});
