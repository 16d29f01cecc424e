import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { OngridError, UsageError } from "../../lib/cli/errors.ts";
import { chooseFlavour } from "../../lib/release/flavour.ts";
import { checkCompiled, compileArgs } from "../../lib/release/flavour_compiled.ts";
import { programsIn } from "../../lib/release/programs.ts";
import { hostTarget, parseTarget, TARGETS } from "../../lib/release/targets.ts";
import { ROOT } from "../support/built_programs.ts";

const CACHED = `/cache/dl/release/v${Deno.version.deno}/denort-aarch64-unknown-linux-gnu.zip`;

function choose(env: Record<string, string>, files: string[] = []) {
  return chooseFlavour({
    target: "linux-arm64",
    env: (name) => env[name],
    isFile: (path) => files.includes(path),
  });
}

Deno.test("the compiled flavour is chosen where its base binary is on this machine already", () => {
  assertEquals(choose({ DENORT_BIN: "/x/denort" }).flavour, "compiled");
  assertEquals(choose({ DENO_DIR: "/cache" }, [CACHED]).flavour, "compiled");
});

Deno.test("the bundled flavour is chosen where there is none, and the reason names what is absent", () => {
  const { flavour, reason } = choose({ DENO_DIR: "/cache" });
  assertEquals(flavour, "bundled");
  assertStringIncludes(reason, `${CACHED} is absent`);
  // The base binary of another target does not count.
  const other = CACHED.replace("aarch64", "x86_64");
  assertEquals(choose({ DENO_DIR: "/cache" }, [other]).flavour, "bundled");
  assertEquals(choose({}).flavour, "bundled");
});

Deno.test("compile command lines carry the permissions, the target and no way to ask", () => {
  const hook = programsIn(ROOT).find(({ name }) => name === "apply-pending-upgrade");
  if (hook === undefined) throw new Error("The hook is not in the table");
  const lines = TARGETS.map((target) =>
    compileArgs({ program: hook, target, source: "/s.js", output: "/o" }).join(" ")
  );
  assertEquals(lines.map((line) => /--target=(\S+)/.exec(line)?.[1]), [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
  ]);
  for (const line of lines) {
    assertEquals(
      line.replace(/--target=\S+ /, ""),
      "compile --quiet --ext=js --no-config --no-lock --no-check --no-remote --no-npm " +
        "--no-code-cache --allow-read --allow-write --allow-env --allow-sys=uid,statfs " +
        "--deny-net --deny-run --deny-ffi --deny-import --no-prompt --output=/o /s.js",
    );
  }
});

Deno.test("a compiled file that is not the program is found out", async () => {
  // What a DENORT_BIN that names an ordinary deno makes: a deno.
  const error = await assertRejects(() => checkCompiled(Deno.execPath(), "v1.0.0"), OngridError);
  assertStringIncludes(error.message, `--version prints "deno ${Deno.version.deno}`);
  assertStringIncludes(error.hint ?? "", "DENORT_BIN");
});

Deno.test("a target has one name, and a wrong one is answered with all of them", () => {
  assertEquals(parseTarget("darwin-arm64"), "darwin-arm64");
  assertEquals(hostTarget("x86_64-unknown-linux-gnu"), "linux-amd64");
  assertThrows(() => parseTarget("linux-x64"), UsageError, `"linux-x64" is not a target`);
  assertThrows(() => hostTarget("x86_64-pc-windows-msvc"), UsageError, "none of the targets");
});

Deno.test("the build prints its usage for an option it does not have", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(ROOT, "tools/build.ts"), "--flavor", "bundled"],
    cwd: ROOT,
  }).output();
  assertEquals(code, 2);
  assertStringIncludes(new TextDecoder().decode(stderr), "--flavour");
});
