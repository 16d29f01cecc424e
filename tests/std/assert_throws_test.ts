import { assertIsError, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { failure, rejection, same } from "./_assert_helpers.ts";

Deno.test("assertThrows gives back the error it was asked for", () => {
  const error = new RangeError("too \x1b[31mfar\x1b[39m");
  const thrower = () => {
    throw error;
  };
  same(assertThrows(thrower), error);
  const typed: RangeError = assertThrows(thrower, RangeError, "too far");
  same(typed, error);
  same(assertThrows(thrower, Error), error);
  same(failure(() => assertThrows(() => 1)), "Expected function to throw.");
  same(failure(() => assertThrows(() => 1, "why")), "Expected function to throw: why");
  assertStringIncludes(
    failure(() => assertThrows(thrower, TypeError)),
    'instance of "TypeError", but was "RangeError"',
  );
  assertStringIncludes(
    failure(() => assertThrows(thrower, RangeError, "near", "why")),
    'message to include "near", but got',
  );
  const nothing = () => {
    // deno-lint-ignore no-throw-literal -- what is thrown is not always an error.
    throw null;
  };
  same(assertThrows(nothing), null);
  assertStringIncludes(failure(() => assertThrows(nothing, Error)), "non-Error object was thrown");
});

Deno.test("assertRejects gives back the reason and wants a promise", async () => {
  const error = new RangeError("too far");
  const rejects = () => Promise.reject(error);
  same(await assertRejects(rejects), error);
  const typed: RangeError = await assertRejects(rejects, RangeError, "far");
  same(typed, error);
  same(
    await rejection(() => assertRejects(() => Promise.resolve(1), "why")),
    "Expected function to reject: why",
  );
  assertStringIncludes(
    await rejection(() => assertRejects(rejects, RangeError, "near")),
    'message to include "near"',
  );
  assertStringIncludes(
    await rejection(() => assertRejects(rejects, TypeError)),
    'instance of "TypeError"',
  );
  const throws = () => {
    throw error;
  };
  same(
    await rejection(() => assertRejects(throws)),
    "Function throws when expected to reject.",
  );
  assertStringIncludes(
    await rejection(() => assertRejects(() => Promise.reject(1), Error)),
    "A non-Error object was rejected",
  );
});

Deno.test("assertIsError judges a caught error and narrows the type", () => {
  const error: unknown = new RangeError("too far");
  assertIsError(error, RangeError, /^too/);
  same(error.message, "too far");
  assertStringIncludes(failure(() => assertIsError("text")), "to be an Error object");
  assertStringIncludes(failure(() => assertIsError(error, RangeError, /near/)), "include /near/");
});
