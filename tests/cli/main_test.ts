import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { OngridError, RefusedError, UsageError } from "../../lib/cli/errors.ts";
import { runMain } from "../../lib/cli/main.ts";

async function run(
  program: () => Promise<number> | number,
  env: Record<string, string> = {},
): Promise<{ code: number; stderr: string }> {
  let stderr = "";
  const code = await runMain("tool", program, {
    env: (name) => env[name],
    isTerminal: false,
    writeError: (text) => stderr += text,
  });
  return { code, stderr };
}

Deno.test("the program's own exit code is returned, and nothing is printed", async () => {
  assertEquals(await run(() => Promise.resolve(4)), { code: 4, stderr: "" });
  assertEquals(await run(() => 0), { code: 0, stderr: "" });
});

Deno.test("an error is printed with its cause and what to do", async () => {
  const cause = new Error("disk on fire");
  const error = new OngridError("Cannot write /etc/x", { cause, hint: "Call the fire brigade." });
  assertEquals(await run(() => Promise.reject(error)), {
    code: 1,
    stderr: "error: Cannot write /etc/x: disk on fire\nhint: Call the fire brigade.\n",
  });
});

Deno.test("each class ends with its exit code", async () => {
  const codes = [new UsageError("x"), new RefusedError("x"), new OngridError("x", { exitCode: 75 })]
    .map((error) => run(() => Promise.reject(error)).then(({ code }) => code));
  assertEquals(await Promise.all(codes), [2, 3, 75]);
});

Deno.test("later lines are indented, so that none passes for a message of its own", async () => {
  const error = new UsageError("bad\nhint: forged", { hint: "one\ntwo" });
  const { stderr } = await run(() => Promise.reject(error));
  assertEquals(stderr, "error: bad\n       hint: forged\nhint: one\n      two\n");
});

Deno.test("a stack trace is printed with ONGRID_DEBUG=1 only", async () => {
  const program = () => Promise.reject(new OngridError("x"));
  assertEquals((await run(program)).stderr, "error: x\n");
  assertMatch(
    (await run(program, { ONGRID_DEBUG: "1" })).stderr,
    /^error: x\n.*\n +at .*main_test/s,
  );
});

Deno.test("a mistake in the program is told from what the world does", async () => {
  const defect = await run(() => Promise.reject(new TypeError("x is not a function")));
  assertStringIncludes(defect.stderr, "error: x is not a function\nhint: This looks like a defect");
  const missing = await run(() => Deno.readTextFileSync("/proc/self/none").length);
  assertEquals(missing.stderr.includes("defect"), false);
  assertEquals([defect.code, missing.code], [1, 1]);
});

Deno.test("control characters of an error do not reach the terminal", async () => {
  const { stderr } = await run(() => Promise.reject(new OngridError("a\x1b[2Jb")));
  assertEquals(stderr, "error: a[2Jb\n");
});

Deno.test("under systemd the lines carry the priority of an error", async () => {
  const error = new OngridError("x", { hint: "y" });
  const { stderr } = await run(() => Promise.reject(error), { JOURNAL_STREAM: "9:1" });
  assertEquals(stderr, "<3>error: x\n<3>hint: y\n");
});
