import { assertEquals, assertStringIncludes } from "@std/assert";
import { makeBundle } from "../support/bundle_fixture.ts";
import { hostTest } from "./support/requirements.ts";
import { eventually } from "./support/nspawn.ts";
import { crashingAgent, healthyAgent } from "./support/systemd_agents.ts";
import {
  type EdgeHost,
  edgePrograms,
  inPlace,
  keptAside,
  NEW,
  OLD,
  QUICK,
  STAGE,
  startInstalledEdge,
} from "./support/systemd_edge.ts";
import { ONESHOT, ONESHOT_UNIT, SHELL_UNIT } from "./support/systemd_shell_units.ts";

/** Exchanges the unit that is shipped for others, and starts the agent again. */
async function useUnits(host: EdgeHost, units: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(units)) host.write(`etc/systemd/system/${name}`, text);
  await host.container.run(["systemctl", "daemon-reload"]);
  await host.restart();
}

/** Ends the agent, as it does itself when a bundle is staged. */
async function leave(host: EdgeHost): Promise<void> {
  await host.container.run(["systemctl", "kill", "--kill-whom=main", "ongrid-edge"]);
}

for (
  const [what, units] of [
    ["a unit written for the shell tooling", { "ongrid-edge.service": SHELL_UNIT }],
    ["the root oneshot of newer shell installs", {
      "ongrid-edge.service": ONESHOT_UNIT,
      "ongrid-edge-upgrade.service": ONESHOT,
    }],
  ] as const
) {
  hostTest({
    name: `guard: works under ${what}: applies, settles, rolls back`,
    needs: ["root", "nspawn"],
    run: async () => {
      const agent = { "ongrid-edge": healthyAgent(OLD) };
      await using host = await startInstalledEdge({ files: agent });
      const old = { ...await edgePrograms(OLD), ...agent };
      await useUnits(host, units);

      host.stage(NEW, { "ongrid-edge": healthyAgent(NEW), promtail: "new\n" });
      await leave(host);
      await host.healthy(NEW);
      const next = { ...old, "ongrid-edge": healthyAgent(NEW), promtail: "new\n" };
      assertEquals(host.installed(), { ...inPlace(next), ...keptAside(agent) });
      await leave(host);
      await eventually("the settled upgrade", () => host.record("settled.json"));
      assertEquals(host.installed(), inPlace(next));

      host.stage("v1.0.2", { "ongrid-edge": crashingAgent("v1.0.2") });
      await leave(host);
      const { reason } = await eventually("the rollback", () => host.record("rollback.json"));
      // Such units have nobody who writes down how the agent ended.
      assertEquals(reason, "never_healthy");
      await host.healthy(NEW);
      assertEquals(host.installed(), inPlace(next));
      assertEquals((await host.hookLog()).filter((line) => line.includes("1.0.2")), [
        "6 [INFO] applied v1.0.2: 1 file(s) swapped; its health is judged at the next start",
        "4 [WARN] rolled back v1.0.2: the agent never reported healthy",
      ]);
    },
  });
}

hostTest({
  name: "a bundle staged by hand as root belongs to the agent, and systemctl restart applies it",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startInstalledEdge({ dropIn: QUICK });
    const old = await edgePrograms(OLD);
    const agent = { "ongrid-edge": healthyAgent(NEW) };
    const { path, sha256 } = await makeBundle({ dir: host.bundles, version: NEW, contents: agent });
    // Where only root can read it: the file is opened before root gives itself up.
    host.write("root/bundle.tar.gz", Deno.readFileSync(path), 0o600);
    const stage = ["ongrid-edge", "stage", "/root/bundle.tar.gz", "--sha256", sha256];
    const drop = ["rm", "-r", `/${STAGE}/incoming`, `/${STAGE}/ready`];

    for (const program of ["setpriv", "runuser"]) {
      const { code, stdout, stderr } = await host.container.attempt(stage);
      assertEquals([program, code, stderr.includes("error")], [program, 0, false], stderr);
      assertStringIncludes(stdout, `staged ${NEW} (1 files)`);
      const owners = await host.container.run(["find", `/${STAGE}/incoming`, "-printf", "%u\n"]);
      assertEquals(new Set(owners.trim().split("\n")), new Set(["ongrid-edge"]));
      await host.container.sh(`rm "$(command -v ${program})"`);
      if (program === "setpriv") await host.container.run(drop);
    }
    const { code, stderr } = await host.container.attempt(stage);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "neither setpriv nor runuser");
    assertStringIncludes(stderr, "su -s /bin/sh ongrid-edge -c");

    await host.restart();
    await host.healthy(NEW);
    assertEquals(host.installed(), {
      ...inPlace({ ...old, ...agent }),
      ...keptAside({ "ongrid-edge": old["ongrid-edge"] ?? "" }),
    });
    assertEquals(host.names(STAGE).filter((name) => /incoming|ready|staged/.test(name)), []);
  },
});

hostTest({
  name: "a bundle that an older agent staged, without ready, is applied",
  needs: ["root", "nspawn"],
  run: async () => {
    const agent = { "ongrid-edge": healthyAgent(OLD) };
    await using host = await startInstalledEdge({ dropIn: QUICK, files: agent });
    host.stage(NEW, { "ongrid-edge": healthyAgent(NEW) }, { ready: false });
    await leave(host);
    await host.healthy(NEW);
    assertEquals(host.record("applied.json")?.version, NEW);
    await host.restart();
    assertEquals(host.record("settled.json")?.version, NEW);
  },
});
