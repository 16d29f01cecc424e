import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { OngridError } from "../../lib/cli/errors.ts";
import { buildPrograms } from "../../lib/release/build.ts";
import { stampVersion } from "../../lib/release/flavour_bundled.ts";
import { RUNTIME_NAME } from "../../lib/release/launcher.ts";
import type { ProgramSpec } from "../../lib/release/programs.ts";
import { hostTarget } from "../../lib/release/targets.ts";

const HELLO: ProgramSpec = {
  name: "hello",
  entry: "hello.ts",
  permissions: { allow: ["env"] },
};

/** A checkout with one small program. */
class Checkout implements Disposable {
  readonly root = Deno.makeTempDirSync({ prefix: "ongrid-checkout-" });
  readonly directory = join(this.root, "build");
  readonly said: string[] = [];

  constructor() {
    Deno.mkdirSync(join(this.root, "lib"));
    this.write("deno.json", "{}");
    this.write("lib/version.ts", `export const VERSION = "v0.0.0-dev";\n`);
    this.write("hello.ts", `import { VERSION } from "./lib/version.ts";\nconsole.log(VERSION);\n`);
  }

  write(path: string, text: string): void {
    Deno.writeTextFileSync(join(this.root, path), text);
  }

  async build(version: string): Promise<boolean> {
    const { upToDate } = await buildPrograms({
      root: this.root,
      target: hostTarget(),
      version,
      flavour: "bundled",
      directory: this.directory,
      programs: [HELLO],
      output: { info: (line) => this.said.push(line) },
    });
    return !upToDate;
  }

  async hello(): Promise<string> {
    const { stdout } = await new Deno.Command(join(this.directory, "hello")).output();
    return new TextDecoder().decode(stdout).trim();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

Deno.test("a build is made again when its version, sources or files have changed, else not", async () => {
  using checkout = new Checkout();
  assert(await checkout.build("v1.0.0"));
  assertEquals(await checkout.hello(), "v1.0.0");
  assert(!await checkout.build("v1.0.0"));
  assertStringIncludes(checkout.said.at(-1) ?? "", "up to date");

  assert(await checkout.build("v1.0.1"));
  assertEquals(await checkout.hello(), "v1.0.1");

  checkout.write(
    "hello.ts",
    `import { VERSION } from "./lib/version.ts";\nconsole.log(VERSION, "again");\n`,
  );
  assert(await checkout.build("v1.0.1"));
  assertEquals(await checkout.hello(), "v1.0.1 again");

  Deno.removeSync(join(checkout.directory, RUNTIME_NAME));
  assert(await checkout.build("v1.0.1"));
  Deno.writeTextFileSync(join(checkout.directory, "hello"), "half a prog");
  assert(await checkout.build("v1.0.1"));
  assertEquals(await checkout.hello(), "v1.0.1 again");
});

Deno.test("the same sources and version give the same bytes, wherever the checkout is", async () => {
  using one = new Checkout();
  using other = new Checkout();
  await one.build("v1.0.0");
  await other.build("v1.0.0");
  const read = ({ directory }: Checkout) => Deno.readTextFileSync(join(directory, "hello"));
  assertEquals(read(one), read(other));
});

Deno.test("a build that fails names the module and leaves what was there", async () => {
  using checkout = new Checkout();
  await checkout.build("v1.0.0");
  checkout.write("hello.ts", `import "./absent.ts";\n`);
  const error = await assertRejects(() => checkout.build("v1.0.1"), OngridError);
  assertStringIncludes(String(error.cause), "absent.ts");
  assertEquals(await checkout.hello(), "v1.0.0");
  const left = [...Deno.readDirSync(checkout.directory)].map(({ name }) => name).sort();
  assertEquals(left, [".build.json", ".lock", "hello", RUNTIME_NAME]);
});

Deno.test("a version that could not be a file name is refused", async () => {
  using checkout = new Checkout();
  for (const version of ["", "1/2", "v 1", "latest"]) {
    await assertRejects(() => checkout.build(version), OngridError, "is not a version");
  }
});

Deno.test("a program that does not name its version exactly once is not built", () => {
  const named = { name: "x", version: "v1.0.0" };
  assertEquals(stampVersion(`var V = "v0.0.0-dev";`, named), `var V = "v1.0.0";`);
  for (const text of ["", `"v0.0.0-dev" + "v0.0.0-dev"`]) {
    const error = assertFails(() => stampVersion(text, named));
    assertStringIncludes(error.message, "Cannot stamp x with v1.0.0");
  }
});

function assertFails(action: () => void): OngridError {
  try {
    action();
  } catch (e) {
    if (e instanceof OngridError) return e;
    throw e;
  }
  throw new Error("It did not fail");
}
