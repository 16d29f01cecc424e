import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { launcher } from "../../lib/release/launcher.ts";
import { permissionFlags, programsIn, type ProgramSpec } from "../../lib/release/programs.ts";
import { builtPrograms, ROOT } from "../support/built_programs.ts";

const VERSION = "v9.8.7-test.1";

Deno.test("every built program prints the version that it was stamped with", async () => {
  const directory = await builtPrograms({ version: VERSION });
  for (const { name } of programsIn(ROOT)) {
    const { code, stdout } = await new Deno.Command(join(directory, name), {
      args: ["--version"],
      cwd: "/",
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin" },
    }).output();
    assertEquals([name, code, new TextDecoder().decode(stdout)], [name, 0, `${VERSION}\n`]);
  }
});

Deno.test("every built program begins with the launcher of its permissions", async () => {
  const directory = await builtPrograms({ version: VERSION });
  for (const { name, permissions } of programsIn(ROOT)) {
    const text = Deno.readTextFileSync(join(directory, name));
    assert(text.startsWith(launcher(permissions)), name);
  }
});

Deno.test("the hook has no network, starts no process and loads no library", async () => {
  const directory = await builtPrograms({ version: VERSION });
  const place = Deno.makeTempDirSync({ prefix: "ongrid-hook-rights-" });
  try {
    // The built hook's own launcher before a program that tries all of it.
    const attempts = `const attempts = {
      connect: () => Deno.connect({ port: 1 }),
      listen: () => Deno.listen({ port: 0 }),
      fetch: () => fetch("http://127.0.0.1:65000/"),
      resolve: () => Deno.resolveDns("localhost", "A"),
      run: () => new Deno.Command("/bin/true").output(),
      dlopen: () => Deno.dlopen("libc.so.6", {}),
    };
    for (const [name, attempt] of Object.entries(attempts)) {
      try { await attempt(); console.log(name, "allowed"); } catch (e) { console.log(name, e.name); }
    }
    console.log("uid", Deno.uid() !== null, "space", typeof process.getBuiltinModule("node:fs").statfsSync("/").bsize);`;
    const hook = Deno.readTextFileSync(join(directory, "apply-pending-upgrade"));
    const probe = join(place, "probe");
    const header = hook.split("\n").slice(0, 2).join("\n");
    Deno.writeTextFileSync(probe, `${header}\n${attempts}\n`, { mode: 0o755 });
    const { stdout, stderr } = await new Deno.Command(probe, {
      cwd: "/",
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", ONGRID_EDGE_UPGRADE_LIB_DIR: directory },
    }).output();
    assertEquals(new TextDecoder().decode(stdout).trim().split("\n"), [
      "connect NotCapable",
      "listen NotCapable",
      "fetch NotCapable",
      "resolve NotCapable",
      "run NotCapable",
      "dlopen NotCapable",
      "uid true space number",
    ], new TextDecoder().decode(stderr));
  } finally {
    Deno.removeSync(place, { recursive: true });
  }
});

Deno.test("permissions become flags of both flavours, and nothing is asked", () => {
  const flags = permissionFlags({ allow: ["read", "sys=uid,statfs"], deny: ["net"] });
  assertEquals(flags, ["--allow-read", "--allow-sys=uid,statfs", "--deny-net", "--no-prompt"]);
});

Deno.test("a checkout without a program's entry builds the others", () => {
  const root = Deno.makeTempDirSync({ prefix: "ongrid-checkout-" });
  try {
    Deno.writeTextFileSync(join(root, "edge-agent.ts"), "");
    assertEquals(programsIn(root).map(({ name }: ProgramSpec) => name), ["ongrid-edge"]);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
