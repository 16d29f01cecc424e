import { assertEquals, assertMatch } from "@std/assert";
import { hostTest } from "./support/requirements.ts";
import { eventually } from "./support/nspawn.ts";
import { crashingAgent, silentAgent } from "./support/systemd_agents.ts";
import {
  type EdgeHost,
  edgePrograms,
  type Files,
  inPlace,
  keptAside,
  NEW,
  OLD,
  RECORDS,
  STAGE,
  startEdgeHost,
} from "./support/systemd_edge.ts";
import { TestManager } from "./support/systemd_manager.ts";

/** Installs the unit as it is shipped, and waits for the agent to be online. */
async function startManagedEdge(host: EdgeHost): Promise<TestManager> {
  const manager = await TestManager.start(host);
  const { accessKey, secretKey } = manager.keys;
  host.write("root/secret", `${secretKey}\n`);
  await host.install({ args: ["--access-key", accessKey, "--secret-key-file", "/root/secret"] });
  await manager.sees(OLD);
  return manager;
}

/** A bundle of agent, hook, guard and a plugin; the runtime stays the same and is left out. */
async function upgradeFiles(agent?: string): Promise<{ old: Files; bundle: Files; all: Files }> {
  const old = await edgePrograms(OLD);
  const bundle: Record<string, string | Uint8Array> = {
    ...await edgePrograms(NEW),
    ...(agent === undefined ? {} : { "ongrid-edge": agent }),
    promtail: `#!/bin/sh\necho promtail ${NEW}\n`,
  };
  delete bundle["ongrid-runtime"];
  return { old, bundle, all: { ...old, ...bundle } };
}

/** The files of a bundle that replace others. */
function replaced(old: Files, bundle: Files): Files {
  const differs = ([name, content]: [string, unknown]) =>
    name in bundle && String(bundle[name]) !== String(content);
  return Object.fromEntries(Object.entries(old).filter(differs));
}

hostTest({
  name: "systemd: an upgrade succeeds over the three documented boots, with the unit as shipped",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startEdgeHost();
    const manager = await startManagedEdge(host);
    const { old, bundle, all } = await upgradeFiles();

    // Boot 1: nothing is staged, the old version runs, and the manager pushes.
    assertEquals(host.installed(), inPlace(old));
    assertEquals(await host.hookLog(), ["6 [INFO] nothing staged"]);
    await manager.offer(NEW, bundle);
    await manager.push(NEW);

    // Boot 2: applied, and the new agent reports itself healthy.
    await manager.sees(NEW);
    assertEquals(host.installed(), { ...inPlace(all), ...keptAside(replaced(old, bundle)) });
    assertEquals(host.read(`${STAGE}/healthy_marker`), `${NEW}\n`);
    assertEquals(host.read(`${STAGE}/last_upgrade_ver`), `${NEW}\n`);
    assertMatch(host.read(`${STAGE}/last_upgrade_at`) ?? "", /^\d{4}-\d\d-\d\dT[\d:.]+Z\n$/);
    assertEquals(host.names(`${STAGE}/incoming`), []);

    // Boot 3: settled.
    await host.container.reboot();
    await eventually("the settled upgrade", () => host.record("settled.json"));
    assertEquals((await manager.hears(NEW, "healthy")).version, NEW);
    assertEquals(host.installed(), inPlace(all));
    assertEquals(host.names(STAGE), ["agent.lock", "download", "healthy_marker"]);
    assertEquals(host.record("settled.json")?.version, NEW);
    assertEquals(host.record("applied.json"), undefined);
    assertEquals((await host.hookLog()).slice(1), [
      `6 [INFO] applied ${NEW}: 3 file(s) swapped; its health is judged at the next start`,
      `6 [INFO] ${NEW} is healthy: the previous version was removed`,
    ]);
    assertEquals(await host.unit("ActiveState", "NRestarts"), {
      ActiveState: "active",
      NRestarts: "0",
    });
  },
});

hostTest({
  name: "systemd: a new agent that crashes at once is rolled back without a hand, and reported",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startEdgeHost();
    const manager = await startManagedEdge(host);
    const { old, bundle } = await upgradeFiles(crashingAgent(NEW));
    await manager.offer(NEW, bundle);
    await manager.push(NEW);

    const outcome = await eventually("the rollback", () => host.record("rollback.json"));
    assertEquals(outcome.state, "rolled_back");
    assertEquals(outcome.version, NEW);
    assertEquals(outcome.reason, "exited");
    assertEquals(outcome.detail, "never healthy; the agent ended: exit-code exited 3");
    const { version, reason } = await manager.hears(OLD, "rolled_back");
    assertEquals([version, reason], [NEW, `exited: ${outcome.detail}`]);
    assertEquals(host.installed(), inPlace(old));
    assertEquals(host.read(`${STAGE}/last_upgrade_at`), "");
    assertEquals(host.read(`${STAGE}/last_upgrade_ver`), undefined);
    const status = await host.container.run(["/usr/local/bin/ongrid-edge", "status", "--json"]);
    assertEquals(JSON.parse(status).last_upgrade.state, "rolled_back");
    assertEquals((await host.hookLog()).slice(1), [
      `6 [INFO] applied ${NEW}: 3 file(s) swapped; its health is judged at the next start`,
      `4 [WARN] rolled back ${NEW}: never healthy; the agent ended: exit-code exited 3`,
    ]);

    // Nothing applies the bundle again by itself, at no boot.
    await host.container.reboot();
    await manager.sees(OLD);
    assertEquals(host.installed(), inPlace(old));
    assertEquals((await host.hookLog()).slice(3), ["6 [INFO] nothing staged"]);
  },
});

hostTest({
  name: "systemd: a new agent that never reports is rolled back by the next boot of the host",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startEdgeHost();
    const manager = await startManagedEdge(host);
    const { old, bundle, all } = await upgradeFiles(silentAgent(NEW));
    await manager.offer(NEW, bundle);
    await manager.push(NEW);
    await eventually("the upgrade", () => host.record("applied.json"));
    assertEquals(host.installed(), { ...inPlace(all), ...keptAside(replaced(old, bundle)) });

    await host.container.reboot();
    assertEquals((await manager.hears(OLD, "rolled_back")).version, NEW);
    assertEquals(host.installed(), inPlace(old));
    assertEquals(host.names(RECORDS).filter((name) => name === "applied.json"), []);
  },
});
