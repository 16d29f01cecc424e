import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import {
  describeError,
  ForeignFileError,
  InvalidBundleError,
  OngridError,
  ProtocolError,
  RefusedError,
  RemoteError,
  systemCode,
  UsageError,
} from "../../lib/cli/errors.ts";

Deno.test("each error class has its exit code", () => {
  const codes = [
    new OngridError("x"),
    new UsageError("x"),
    new RefusedError("x"),
    new InvalidBundleError("x"),
    new ForeignFileError("x"),
    new ProtocolError("x", { kind: "closed" }),
    new RemoteError("x"),
    new OngridError("x", { exitCode: 75 }),
    new RefusedError("x", { exitCode: 4 }),
  ].map((error) => describeError(error).exitCode);
  assertEquals(codes, [1, 2, 3, 1, 1, 1, 1, 75, 4]);
});

Deno.test("every class is an OngridError with its own name", () => {
  const error = new ProtocolError("gone", { kind: "timeout", hint: "wait" });
  assertInstanceOf(error, OngridError);
  assertEquals([error.name, error.kind, error.hint], ["ProtocolError", "timeout", "wait"]);
});

Deno.test("the text of an error is followed by those of its causes", () => {
  const inner = new Error("disk on fire");
  const middle = new OngridError("Cannot write /etc/x", { cause: inner });
  const outer = new OngridError("Step 5 failed", { cause: middle });
  assertEquals(describeError(outer).message, "Step 5 failed: Cannot write /etc/x: disk on fire");
});

Deno.test("a cause that the message quotes already is not repeated", () => {
  const inner = new Error("disk on fire");
  const outer = new OngridError("Cannot write: disk on fire", { cause: inner });
  assertEquals(describeError(outer).message, "Cannot write: disk on fire");
});

Deno.test("the hint nearest to the top wins, a missing one is taken from below", () => {
  const inner = new OngridError("inner", { hint: "inner hint" });
  assertEquals(describeError(new OngridError("o", { cause: inner })).hint, "inner hint");
  const both = new OngridError("o", { cause: inner, hint: "outer hint" });
  assertEquals(describeError(both).hint, "outer hint");
});

Deno.test("an error without a hint has none, not an undefined one", () => {
  assertEquals(Object.keys(describeError(new OngridError("x"))), ["message", "exitCode"]);
});

Deno.test("a circular chain of causes ends", () => {
  const error = new Error("round");
  error.cause = new Error("and round", { cause: error });
  assertEquals(describeError(error).message, "round: and round");
});

Deno.test("operating system errors are told in plain words, with a hint where there is one", () => {
  const missing = describeError(thrownBy(() => Deno.openSync("/proc/self/none")));
  assertEquals(missing.message, "open '/proc/self/none': no such file or directory");
  assertEquals(missing.hint, undefined);

  const full = describeError(thrownBy(() => {
    using device = Deno.openSync("/dev/full", { write: true });
    device.writeSync(new Uint8Array(1));
  }));
  assertEquals(full.message, "no space left on device");
  assertStringIncludes(full.hint ?? "", "Free some space");
});

Deno.test("an address in use is told with what to do", () => {
  using first = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = first.addr;
  const taken = describeError(
    thrownBy(() => Deno.listen({ hostname: "127.0.0.1", port }).close()),
  );
  assertStringIncludes(taken.message, "address already in use");
  assertStringIncludes(taken.hint ?? "", "another port");
});

Deno.test("errors of node:fs read as those of Deno do", () => {
  const error = Object.assign(new Error("ENOENT: no such file or directory, open '/x'"), {
    code: "ENOENT",
  });
  assertEquals(describeError(error).message, "open '/x': no such file or directory");
});

Deno.test("a permission that is missing on disk comes with a hint", () => {
  const error = Object.assign(
    new Deno.errors.PermissionDenied("Permission denied (os error 13): open '/x'"),
    { code: "EACCES" },
  );
  const { message, hint } = describeError(error);
  assertEquals(message, "open '/x': permission denied");
  assertStringIncludes(hint ?? "", "root");
});

Deno.test("of several errors at once the first is told", () => {
  const error = new AggregateError(
    [new Error("first"), new Error("second")],
    "all attempts failed",
  );
  assertEquals(describeError(error).message, "all attempts failed: first");
});

Deno.test("anything that can be thrown has a text", () => {
  const texts = ["text", 42, null, undefined, new TypeError("")].map((e) =>
    describeError(e).message
  );
  assertEquals(texts, ["text", "42", "unknown error", "unknown error", "TypeError"]);
});

Deno.test("the system's code is found below our own errors", () => {
  const error = thrownBy(() => Deno.lstatSync("/proc/self/none"));
  assertEquals(systemCode(new OngridError("x", { cause: error })), "ENOENT");
  assertEquals(systemCode(new OngridError("x")), undefined);
  assertEquals(systemCode("ENOENT"), undefined);
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (e) {
    return e;
  }
  throw new Error("nothing was thrown");
}
