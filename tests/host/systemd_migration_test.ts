import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { ROOT } from "../support/built_programs.ts";
import { hostTest } from "./support/requirements.ts";
import { eventually } from "./support/nspawn.ts";
import { crashingAgent, healthyAgent } from "./support/systemd_agents.ts";
import {
  type EdgeHost,
  edgePrograms,
  type Files,
  inPlace,
  keptAside,
  OLD,
  RECORDS,
  STAGE,
  startEdgeHost,
} from "./support/systemd_edge.ts";
import { forOtherMachine } from "./support/systemd_elf.ts";
import { CLOUD_ADDRESS, TestManager } from "./support/systemd_manager.ts";
import { SHELL_UNIT } from "./support/systemd_shell_units.ts";

/** What the shell tooling installed. */
const SHELL = "v0.7.159";

/** Below the name that the guard has with us, the shell tooling has its whole hook. */
function shellFiles(): Files {
  const path = join(ROOT, "tests/support/reference_hook.sh");
  const hook = Deno.readTextFileSync(path)
    .replace("_STAGE_DIR:?}", "_STAGE_DIR:-/var/lib/ongrid-edge/.upgrade}")
    .replace("_BIN_DIR:?}", "_BIN_DIR:-/usr/local/bin}")
    .replace("_LIB_DIR:?}", "_LIB_DIR:-/usr/local/lib/ongrid-edge}");
  return { "ongrid-edge": healthyAgent(SHELL), "apply-pending-upgrade.sh": hook };
}

/** A host as the shell tooling leaves it, running. */
async function startShellHost(env = ""): Promise<EdgeHost> {
  const host = await startEdgeHost();
  const { container } = host;
  await container.sh(
    "useradd --system --user-group --no-create-home ongrid-edge\n" +
      `install -d -o ongrid-edge -g ongrid-edge /var/lib/ongrid-edge /${STAGE}`,
  );
  host.write("etc/ongrid-edge/ongrid-edge.env", env);
  host.write("etc/systemd/system/ongrid-edge.service", SHELL_UNIT);
  host.dropIn("test", "[Unit]\nStartLimitIntervalSec=0\n"); // a test is quicker than people are
  for (const [path, content] of Object.entries(shellFiles())) {
    host.write(Object.keys(inPlace({ [path]: content }))[0] ?? "", content, 0o755);
  }
  await container.run(["systemctl", "enable", "--now", "ongrid-edge.service"]);
  await host.healthy(SHELL);
  return host;
}

/** Restarts the agent with something staged by an agent of the shell tooling. */
async function upgrade(host: EdgeHost, version: string, files: Files): Promise<void> {
  host.stage(version, files, { ready: false });
  await host.restart();
}

/** What is installed, without the files that a downgrade leaves because nothing removes them. */
function installedBut(host: EdgeHost, ...names: string[]): Record<string, string> {
  const left = names.map((name) => `/usr/local/lib/ongrid-edge/${name}`);
  return Object.fromEntries(
    Object.entries(host.installed()).filter(([path]) => !left.includes(path)),
  );
}

hostTest({
  name: "an install of the shell tooling migrates by one ordinary upgrade, and back, and again",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startShellHost();
    const manager = await TestManager.start(host);
    const { accessKey, secretKey } = manager.keys;
    host.write(
      "etc/ongrid-edge/ongrid-edge.env",
      `ONGRID_EDGE_CLOUD_ADDR=${CLOUD_ADDRESS}\nONGRID_EDGE_ACCESS_KEY=${accessKey}\n` +
        `ONGRID_EDGE_SECRET_KEY=${secretKey}\n`,
    );
    const shell = shellFiles();
    const ours = await edgePrograms(OLD);
    assertEquals(host.installed(), inPlace(shell));

    // Its hook applies, ours judges what it finds: markers, and no record of root's.
    await upgrade(host, OLD, ours);
    await manager.sees(OLD);
    assertEquals(host.installed(), { ...inPlace(ours), ...keptAside(shell) });
    await host.restart();
    await manager.sees(OLD);
    assertEquals(host.installed(), inPlace(ours));
    assertEquals(host.record("settled.json")?.version, OLD);

    // Back: our hook applies, the shell's judges.
    await upgrade(host, SHELL, shell);
    await host.healthy(SHELL);
    assertEquals(installedBut(host, "apply-pending-upgrade", "ongrid-runtime"), {
      ...inPlace(shell),
      ...keptAside({
        "ongrid-edge": ours["ongrid-edge"] ?? "",
        "apply-pending-upgrade.sh": ours["apply-pending-upgrade.sh"] ?? "",
      }),
    });
    await host.restart();
    assertEquals(
      installedBut(host, "apply-pending-upgrade", "ongrid-runtime"),
      inPlace(shell),
    );
    assertEquals(host.read(`${STAGE}/last_upgrade_ver`), undefined);

    // Again, over the record that ours had left of the way back.
    assertEquals(host.record("applied.json")?.version, SHELL);
    await upgrade(host, OLD, ours);
    await manager.sees(OLD);
    await host.restart();
    await manager.sees(OLD);
    assertEquals(host.installed(), inPlace(ours));
    assertEquals(host.names(RECORDS).includes("applied.json"), false);
  },
});

hostTest({
  name: "a migration whose agent crashes, or whose runtime cannot run, leaves the shell install",
  needs: ["root", "nspawn"],
  run: async () => {
    // Some installs name the directories in the environment, though they are the usual ones.
    await using host = await startShellHost(`ONGRID_EDGE_UPGRADE_STAGE_DIR=/${STAGE}\n`);
    const shell = shellFiles();
    const ours = await edgePrograms(OLD);
    const runtime = forOtherMachine(Deno.readFileSync(host.path("usr/bin/true")));
    const bundles: Record<string, Files> = {
      "v1.0.0-crashing": { ...ours, "ongrid-edge": crashingAgent("v1.0.0-crashing") },
      "v1.0.0-foreign": {
        ...ours,
        "ongrid-edge": healthyAgent("v1.0.0-foreign"),
        "ongrid-runtime": runtime,
      },
    };
    for (const [version, files] of Object.entries(bundles)) {
      await upgrade(host, version, files);
      if (version === "v1.0.0-foreign") {
        await host.healthy(version);
        await host.restart();
      }
      await eventually(
        `the end of ${version}`,
        () => host.read(`${STAGE}/last_upgrade_ver`) === undefined,
      );
      await host.healthy(SHELL);
      assertEquals(installedBut(host, "apply-pending-upgrade", "ongrid-runtime"), inPlace(shell));
    }
    assertMatch(
      (await host.hookLog()).join("\n"),
      /^4 \[WARN\] rolled back v1\.0\.0-crashing: [\s\S]*^4 .*cannot run on this host: putting/m,
    );

    // What is left goes on working: the next upgrade is applied and settled by the shell's hook.
    await upgrade(host, "v0.7.160", { "ongrid-edge": healthyAgent("v0.7.160") });
    await host.healthy("v0.7.160");
    await host.restart();
    assertEquals(
      installedBut(host, "apply-pending-upgrade", "ongrid-runtime"),
      inPlace({ ...shell, "ongrid-edge": healthyAgent("v0.7.160") }),
    );
  },
});
