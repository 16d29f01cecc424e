import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { launcher, RUNTIME_NAME } from "../../lib/release/launcher.ts";
import type { Permissions } from "../../lib/release/programs.ts";
import { linkOrCopy } from "../../lib/release/replace.ts";

const ALL: Permissions = { allow: ["all"] };

/** Prints what it sees as one line of JSON. */
const PROBE = `console.log(JSON.stringify({
  args: Deno.args,
  file: import.meta.filename,
  settings: Object.keys(Deno.env.toObject()).filter((n) => /^(DENO|NODE|OTEL|NPM|npm)_/.test(n)),
  denoDir: Deno.env.get("DENO_DIR"),
}));\n`;

interface Sight {
  readonly args: string[];
  readonly file: string;
  readonly settings: string[];
  readonly denoDir: string;
}

class Place implements Disposable {
  readonly root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "ongrid launcher " }));

  /** Writes an executable program. */
  program(path: string, { permissions = ALL, body = PROBE } = {}): string {
    const file = this.#prepared(path);
    Deno.writeTextFileSync(file, launcher(permissions) + body);
    Deno.chmodSync(file, 0o755);
    return file;
  }

  /** Puts the runtime into a directory. */
  runtime(directory: string): void {
    linkOrCopy(Deno.realPathSync(Deno.execPath()), this.#prepared(`${directory}/${RUNTIME_NAME}`));
  }

  at(path: string): string {
    return join(this.root, path);
  }

  #prepared(path: string): string {
    const file = this.at(path);
    Deno.mkdirSync(dirname(file), { recursive: true });
    return file;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

async function run(
  program: string,
  { args = [], cwd = "/", env = {} }: {
    args?: string[];
    cwd?: string;
    env?: Record<string, string>;
  } = {},
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", ...env },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), err: decode(stderr) };
}

async function look(...call: Parameters<typeof run>): Promise<Sight> {
  const { code, out, err } = await run(...call);
  assertEquals({ code, err }, { code: 0, err: "" });
  return JSON.parse(out);
}

Deno.test("a program runs from any directory and knows its own file", async () => {
  using place = new Place();
  const program = place.program("a dir/prog");
  place.runtime("a dir");
  assertEquals((await look(program)).file, program);
  assertEquals((await look("./prog", { cwd: place.at("a dir") })).file, program);
  assertEquals((await look("a dir/prog", { cwd: place.root })).file, program);
  const byName = await look("prog", { cwd: "/usr", env: { PATH: `${place.at("a dir")}:/bin` } });
  assertEquals(byName.file, program);
  assertEquals((await look("/bin/sh", { args: ["prog"], cwd: place.at("a dir") })).file, program);
});

Deno.test("a program finds its runtime through links to the program", async () => {
  using place = new Place();
  const program = place.program("release/prog");
  place.runtime("release");
  Deno.symlinkSync("release/prog", place.at("relative"));
  Deno.symlinkSync(place.at("relative"), place.at("link-to-link"));
  Deno.mkdirSync(place.at("bin"));
  Deno.symlinkSync(program, place.at("bin/prog"));
  for (const link of ["relative", "link-to-link", "bin/prog"]) {
    assertEquals((await look(place.at(link))).file, program, link);
  }
});

Deno.test("the runtime may be beside the program, in the configured or the usual directory", async () => {
  const places: [where: string, env: Record<string, string>][] = [
    ["bin", {}],
    ["elsewhere", { ONGRID_EDGE_UPGRADE_LIB_DIR: "elsewhere" }],
    ["lib/ongrid-edge", {}],
    ["lib/ongrid-edge", { ONGRID_EDGE_UPGRADE_LIB_DIR: "empty" }],
  ];
  for (const [where, env] of places) {
    using place = new Place();
    place.runtime(where);
    const program = place.program("bin/prog");
    const absolute = Object.entries(env).map(([name, value]) => [name, place.at(value)]);
    assertEquals((await look(program, { env: Object.fromEntries(absolute) })).file, program, where);
  }
});

Deno.test("a program without its runtime says what is missing and exits with 127", async () => {
  using place = new Place();
  const program = place.program("bin/prog");
  // A directory of that name, or a file that cannot be executed, is no runtime.
  Deno.mkdirSync(place.at(`bin/${RUNTIME_NAME}`));
  Deno.mkdirSync(place.at("lib/ongrid-edge"), { recursive: true });
  Deno.writeTextFileSync(place.at(`lib/ongrid-edge/${RUNTIME_NAME}`), "", { mode: 0o644 });
  const { code, out, err } = await run(program);
  assertEquals({ code, out }, { code: 127, out: "" });
  assertStringIncludes(err, `error: cannot start ${program}: no ${RUNTIME_NAME} in`);
  assertStringIncludes(err, "hint: ");
});

Deno.test("arguments reach the program as they are", async () => {
  using place = new Place();
  place.runtime("bin");
  const args = ["", "a b", "--help", "--", "-A", "'\"$HOME`id`\\", "*", "line\nbreak", "--reload"];
  assertEquals((await look(place.program("bin/prog"), { args })).args, args);
});

Deno.test("an exit code reaches the caller", async () => {
  using place = new Place();
  place.runtime("bin");
  const program = place.program("bin/prog", { body: "Deno.exit(75);" });
  assertEquals((await run(program)).code, 75);
});

Deno.test("the caller's environment does not change how the runtime works", async () => {
  using place = new Place();
  place.runtime("bin");
  const env = {
    DENO_AUDIT_PERMISSIONS: place.at("audit"),
    DENO_CERT: place.at("absent.pem"),
    DENO_COVERAGE_DIR: place.at("coverage"),
    DENO_PERMISSION_BROKER_PATH: place.at("absent.sock"),
    DENO_V8_FLAGS: "--no-such-flag",
    NODE_EXTRA_CA_CERTS: place.at("absent.pem"),
    NODE_OPTIONS: "--require=./absent.js",
    OTEL_DENO: "true",
    NPM_CONFIG_REGISTRY: "http://localhost:1/",
    TWO_LINES: "a\nDENO_DIR=b\nNODE_X=c",
  };
  const program = place.program("bin/prog");
  assertEquals((await look(program, { env })).settings.sort(), [
    "DENO_DIR",
    "DENO_NO_UPDATE_CHECK",
  ]);
  assertEquals([...Deno.readDirSync(place.root)].map(({ name }) => name), ["bin"]);
});

Deno.test("what lies in the current directory does not change how the runtime works", async () => {
  using place = new Place();
  place.runtime("bin");
  const program = place.program("bin/prog", { body: `import "node:path";\n${PROBE}` });
  Deno.mkdirSync(place.at("cwd"));
  const hostile = {
    "deno.json": "{ broken",
    "package.json": "{ broken",
    "deno.lock": "{ broken",
    ".npmrc": "registry=http://localhost:1/",
    ".env": "DENO_V8_FLAGS=--no-such-flag",
  };
  for (const [name, text] of Object.entries(hostile)) {
    Deno.writeTextFileSync(place.at(`cwd/${name}`), text);
  }
  assertEquals((await look(program, { cwd: place.at("cwd") })).args, []);
});

Deno.test("without DENO_DIR nothing is written anywhere, with it only there", async () => {
  using place = new Place();
  place.runtime("bin");
  const program = place.program("bin/prog");
  Deno.mkdirSync(place.at("home"));
  const home = { HOME: place.at("home"), XDG_CACHE_HOME: place.at("home/cache") };
  assertEquals((await look(program, { env: home })).denoDir, "/dev/null");
  assertEquals([...Deno.readDirSync(place.at("home"))], []);
  const own = await look(program, { env: { ...home, DENO_DIR: place.at("own") } });
  assertEquals(own.denoDir, place.at("own"));
  assertEquals([...Deno.readDirSync(place.at("home"))], []);
});

Deno.test("what a program is not allowed is refused without a question", async () => {
  using place = new Place();
  place.runtime("bin");
  const body = `for (const name of ["read", "write", "env", "net", "run", "ffi", "sys"]) {
    console.log(name, Deno.permissions.querySync({ name }).state);
  }`;
  const permissions = { allow: ["read", "env"], deny: ["net"] };
  const { out } = await run(place.program("bin/prog", { permissions, body }));
  assertEquals(out.trim().split("\n"), [
    "read granted",
    "write prompt",
    "env granted",
    "net denied",
    "run prompt",
    "ffi prompt",
    "sys prompt",
  ]);
  const write = `try { Deno.writeTextFileSync("x", ""); } catch (e) { console.log(e.name); }`;
  const refused = await run(place.program("bin/prog", { permissions, body: write }));
  assertEquals(refused.out.trim(), "NotCapable");
});

Deno.test("every shell that may be /bin/sh starts a program", async () => {
  using place = new Place();
  place.runtime("bin");
  const program = place.program("bin/prog");
  const shells: [string, string[]][] = [["dash", []], ["bash", ["--posix"]], ["busybox", ["sh"]]];
  let tried = 0;
  for (const [shell, args] of shells) {
    const path = ["/usr/bin", "/bin"].map((each) => `${each}/${shell}`).find(exists);
    if (path === undefined) continue;
    tried++;
    assertEquals((await look(path, { args: [...args, program, "x y"] })).args, ["x y"], shell);
  }
  assert(tried > 0);
});

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}
