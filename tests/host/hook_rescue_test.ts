import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, join } from "@std/path";
import { manifestOf, type TestFile } from "../support/hook_host.ts";
import { type BuiltHook, builtHook, GUARD, SHELL_HOOK } from "./support/built_hook.ts";
import { EdgeHost } from "./support/edge_host.ts";
import { commandOptions, type Ending, run } from "./support/process.ts";
import { hostTest } from "./support/requirements.ts";
import { Scratch } from "./support/scratch.ts";
import { differences, look } from "./support/tree.ts";
import { until } from "./support/until.ts";

const LIB = "/usr/local/lib/ongrid-edge";

/** An ELF file of a machine that this is not: right in form, refused by the kernel. */
const FOREIGN_ELF = `\x7fELF\x02\x01\x01${"\0".repeat(9)}\x02\0\xff\xfe\x01${"\0".repeat(43)}`;

/** What a bundle brings that cannot do its work, by name. */
const BROKEN: Record<string, Record<string, string>> = {
  "a runtime for another machine": { "ongrid-runtime": FOREIGN_ELF },
  "a runtime whose loader is missing": { "ongrid-runtime": "#!/lib/ld-of-nobody.so\n" },
  "a runtime that crashes": { "ongrid-runtime": "#!/bin/sh\nkill -SEGV $$\n" },
  "a hook that always exits with 1": { "apply-pending-upgrade": "#!/bin/sh\nexit 1\n" },
  "a hook that kills itself": { "apply-pending-upgrade": "#!/bin/sh\nkill -KILL $$\n" },
  "a hook that is no program": { "apply-pending-upgrade": "\x7fELF, not really\n" },
};

const AGENT_V2 = "#!/bin/sh\necho agent v2\n";

/** Stages v2: agent, a plugin, the guard, one file that is new, and what is broken about it. */
function stageV2(host: EdgeHost, broken: Record<string, string>): void {
  const files: Record<string, TestFile> = {
    "ongrid-edge": { content: AGENT_V2, dest: "/usr/local/bin/ongrid-edge" },
  };
  const guard = `${Deno.readTextFileSync(GUARD)}# v2\n`;
  const inLib = { promtail: "v2\n", "apply-pending-upgrade.sh": guard, node_exporter: "new\n" };
  for (const [name, content] of Object.entries({ ...inLib, ...broken })) {
    files[name] = { content, dest: `${LIB}/${name}` };
  }
  host.stageBundle("v2", files, manifestOf(files));
}

/** A host with the real hook, guard and runtime, as an install makes it, all of version v1. */
class RescueHost extends EdgeHost {
  constructor(scratch: Scratch, { hook, runtime }: BuiltHook) {
    super(scratch.directory("host"));
    this.write("bin/ongrid-edge", "#!/bin/sh\necho agent v1\n", 0o755);
    this.write("lib/promtail", "promtail v1\n", 0o755);
    this.write("lib/apply-pending-upgrade", Deno.readTextFileSync(hook), 0o755);
    this.write("lib/apply-pending-upgrade.sh", Deno.readTextFileSync(GUARD), 0o755);
    Deno.copyFileSync(runtime, join(this.lib, "ongrid-runtime"));
  }

  /** One start of the service, up to where the agent would begin. */
  startGuard(): Promise<Ending> {
    return run(this.start("sh", join(this.lib, "apply-pending-upgrade.sh")));
  }

  /** What the agent that is installed prints. */
  async agent(): Promise<string> {
    return (await run(this.start(join(this.bin, "ongrid-edge")))).stdout;
  }

  /** The programs, and where they are. */
  programs() {
    return { bin: look(this.bin), lib: look(this.lib) };
  }

  /** Fails where the programs are not the same as then. */
  expectPrograms(wanted: ReturnType<RescueHost["programs"]>, story: string): void {
    assertEquals(differences(look(this.bin), wanted.bin), [], story);
    assertEquals(differences(look(this.lib), wanted.lib), [], story);
  }
}

/** After a rescue: v1 is complete and runs, the reason is on record, and a good bundle still works. */
async function expectRescued(
  host: RescueHost,
  before: ReturnType<RescueHost["programs"]>,
  story: string,
): Promise<void> {
  host.expectPrograms(before, story);
  assertEquals(await host.agent(), "agent v1\n", story);
  const { state, reason, version } = host.record("rollback.json") ?? {};
  assertEquals([state, reason, version], ["rolled_back", "could_not_run", "v2"], story);
  for (
    const name of ["rescue", "guard_starts", "journal.rescued", "journal.json", "applied.json"]
  ) {
    assertEquals(host.read(`root-state/${name}`), undefined, `${name}: ${story}`);
  }
  assertEquals(host.read("state/.upgrade/last_upgrade_at") || "", "", story);
  stageV2(host, {});
  await host.startGuard();
  assertEquals(await host.agent(), "agent v2\n", story);
  host.mark("healthy_marker", "v2\n");
  await host.startGuard();
  assertEquals(host.record("settled.json")?.version, "v2", story);
}

for (const [what, broken] of Object.entries(BROKEN)) {
  for (const health of ["healthy", "silent"]) {
    hostTest({
      name: `the guard puts everything back: ${what}, the agent ${health}`,
      needs: ["root", "tmpfs"],
      run: async () => {
        using scratch = new Scratch();
        const host = new RescueHost(scratch, await builtHook());
        const before = host.programs();
        stageV2(host, broken);
        const applied = await host.startGuard();
        assertEquals(await host.agent(), "agent v2\n", applied.stderr);
        if (health === "healthy") host.mark("healthy_marker", "v2\n");
        const { code, stderr } = await host.startGuard();
        assertEquals(code, 0, stderr);
        assertMatch(stderr, /cannot run on this host: putting the previous files back/);
        await expectRescued(host, before, stderr);
      },
    });
  }
}

hostTest({
  name: "a runtime that somebody removed is put back with the rest",
  needs: ["root", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = new RescueHost(scratch, await builtHook());
    const before = host.programs();
    stageV2(host, { "ongrid-runtime": FOREIGN_ELF });
    await host.startGuard();
    Deno.removeSync(join(host.lib, "ongrid-runtime"));
    const { code, stderr } = await host.startGuard();
    assertEquals(code, 0, stderr);
    await expectRescued(host, before, stderr);
  },
});

hostTest({
  name: "without an upgrade to take back, a hook that cannot run stops no agent",
  needs: ["root", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = new RescueHost(scratch, await builtHook());
    Deno.removeSync(join(host.lib, "ongrid-runtime"));
    const before = host.programs();
    const { code, stderr } = await host.startGuard();
    assertEquals(code, 0);
    assertMatch(stderr, /nothing to put back/);
    host.expectPrograms(before, stderr);
  },
});

hostTest({
  name: "a hook that hangs is given three starts, then everything is put back without it",
  needs: ["root", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = new RescueHost(scratch, await builtHook());
    const before = host.programs();
    const witness = join(dirname(host.rootState), "hanging");
    const hang = `#!/bin/sh\n: >"${witness}"\nwhile :; do sleep 1; done\n`;
    stageV2(host, { "apply-pending-upgrade": hang });
    await host.startGuard();
    for (let start = 1; start <= 3; start++) {
      // What the start timeout does: guard and hook are killed together.
      const guard = host.start("setsid", "sh", join(host.lib, "apply-pending-upgrade.sh"));
      const child = new Deno.Command(guard.command, commandOptions(guard)).spawn();
      await until("the hook hangs", () => host.read("hanging") !== undefined);
      assertEquals(host.read("root-state/guard_starts"), `${start}\n`);
      Deno.kill(-child.pid, "SIGKILL");
      await child.output();
      Deno.removeSync(witness);
      assertEquals(await host.agent(), "agent v2\n");
    }
    const { code, stderr } = await host.startGuard();
    assertEquals([code, host.read("hanging")], [0, undefined], stderr);
    assertEquals(await host.agent(), "agent v1\n", stderr);
    assert(host.read("lib/node_exporter") !== undefined, "removed without a hook that knows it");
    // The hook of v1 writes down what happened, and removes what was new.
    const next = await host.startGuard();
    await expectRescued(host, before, `${stderr}${next.stderr}`);
  },
});

hostTest({
  name: "an upgrade that the shell hook applied is put back by its markers, and forgotten",
  needs: ["root", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = new EdgeHost(scratch.directory("host"));
    const shellHook = Deno.readTextFileSync(SHELL_HOOK);
    const script = join(host.lib, "apply-pending-upgrade.sh");
    host.write("bin/ongrid-edge", "#!/bin/sh\necho agent v1\n", 0o755);
    host.write("lib/apply-pending-upgrade.sh", shellHook, 0o755);
    stageV2(host, { "apply-pending-upgrade": "#!/bin/sh\nexit 1\n" });
    await run(host.start("bash", script));
    assertEquals(host.read("bin/ongrid-edge"), AGENT_V2);

    // The unit still calls the same name, which is the guard now.
    const { code, stderr } = await run(host.start("sh", script));
    assertEquals(code, 0, stderr);
    assertEquals(host.read("bin/ongrid-edge"), "#!/bin/sh\necho agent v1\n", stderr);
    assertEquals(host.read("lib/apply-pending-upgrade.sh"), shellHook);
    assertEquals(host.read("bin/neighbour.previous"), "not ours either\n");

    // From here on it is the shell hook's host again: it judges nothing, and takes the next bundle.
    await run(host.start("bash", script));
    assertEquals(host.read("bin/ongrid-edge"), "#!/bin/sh\necho agent v1\n");
    stageV2(host, {});
    await run(host.start("bash", script));
    assertEquals(host.read("bin/ongrid-edge"), AGENT_V2);
  },
});
