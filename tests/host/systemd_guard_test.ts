import { assertEquals, assertMatch } from "@std/assert";
import { hostTest } from "./support/requirements.ts";
import { healthyAgent } from "./support/systemd_agents.ts";
import {
  type EdgeHost,
  edgePrograms,
  type Files,
  inPlace,
  keptAside,
  NEW,
  OLD,
  QUICK,
  RECORDS,
  STAGE,
  startInstalledEdge,
} from "./support/systemd_edge.ts";
import { forOtherMachine, withoutLoader } from "./support/systemd_elf.ts";

const AGENT = { "ongrid-edge": healthyAgent(OLD) };
const NEW_AGENT = { "ongrid-edge": healthyAgent(NEW) };

/** Applies a bundle whose agent is healthy, whatever else is in it. */
async function applyHealthy(host: EdgeHost, files: Files): Promise<void> {
  host.stage(NEW, { ...NEW_AGENT, ...files });
  await host.restart();
  await host.healthy(NEW);
  assertEquals(host.record("applied.json")?.version, NEW);
}

/** The lines of the log that came after `from`, without the level. */
async function saidSince(host: EdgeHost, from: readonly string[]): Promise<string[]> {
  return (await host.hookLog()).slice(from.length);
}

hostTest({
  name:
    "guard: a hook or runtime that cannot execute, or that crashes, is replaced by the old ones",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startInstalledEdge({ dropIn: QUICK, files: AGENT });
    // Some installs name the usual directory; then root's records are in their usual one, too.
    const env = host.read("etc/ongrid-edge/ongrid-edge.env") ?? "";
    host.write(
      "etc/ongrid-edge/ongrid-edge.env",
      `${env}ONGRID_EDGE_UPGRADE_STAGE_DIR=/${STAGE}\n`,
    );
    const old = { ...await edgePrograms(OLD), ...AGENT };
    const program = Deno.readFileSync(host.path("usr/bin/true"));
    const broken: Files[] = [
      { "ongrid-runtime": forOtherMachine(program) },
      { "ongrid-runtime": withoutLoader(program), promtail: "came with it\n" },
      { "apply-pending-upgrade": forOtherMachine(program) },
      { "apply-pending-upgrade": "#!/bin/sh\nkill -SEGV $$\n" },
    ];
    for (const files of broken) {
      await applyHealthy(host, files);
      const before = await host.hookLog();
      await host.restart();

      assertEquals(host.installed(), inPlace(old));
      assertEquals(host.record("rollback.json"), {
        ...host.record("rollback.json"),
        state: "rolled_back",
        version: NEW,
        reason: "could_not_run",
      });
      for (const name of ["rescue", "guard_starts", "journal.rescued", "applied.json"]) {
        assertEquals(host.read(`${RECORDS}/${name}`), undefined, name);
      }
      assertEquals(host.read(`${STAGE}/last_upgrade_ver`), undefined);
      const said = (await saidSince(host, before)).filter((line) => /^[34] /.test(line));
      assertEquals(said[0], "4 [WARN] the hook failed: running it once more");
      assertMatch(said[1] ?? "", /^4 \[WARN\] the hook cannot run on this host: putting/);
      assertMatch(said.at(-1) ?? "", /^4 \[WARN\] rolled back v1\.0\.1: /);
      await host.healthy(OLD);
    }
  },
});

hostTest({
  name: "guard: a hook that hangs is given up after three starts, and the old files come back",
  needs: ["root", "nspawn"],
  run: async () => {
    const dropIn = `${QUICK}TimeoutStartSec=1s\nTimeoutStopSec=1s\n`;
    await using host = await startInstalledEdge({ dropIn, files: AGENT });
    const old = { ...await edgePrograms(OLD), ...AGENT };
    await applyHealthy(host, { "apply-pending-upgrade": "#!/bin/sh\nexec sleep infinity\n" });
    const before = await host.hookLog();

    await host.container.attempt(["systemctl", "restart", "ongrid-edge.service"]);
    await host.healthy(OLD);
    assertEquals(host.installed(), inPlace(old));
    assertEquals(
      (await saidSince(host, before))[0],
      "4 [WARN] the hook did not finish 3 times: " +
        "putting the previous files back",
    );

    // The hook that is back writes down what happened, at its first start.
    await host.restart();
    assertEquals(host.record("rollback.json")?.reason, "could_not_run");
    assertEquals(host.installed(), inPlace(old));
    assertEquals(host.read(`${RECORDS}/guard_starts`), undefined);
  },
});

/**
 * Puts something in the hook's place that runs it under strace, to be killed at a system call on a
 * path, in its first `times` runs.
 */
function killHookAt(host: EdgeHost, call: string, path: string, times: number): void {
  host.write(
    "usr/local/lib/ongrid-edge/apply-pending-upgrade",
    `#!/bin/sh
hook=/opt/programs/apply-pending-upgrade
for run in $(seq ${times}); do
  if mkdir "/run/killed-$run" 2>/dev/null; then
    exec strace -qq -f -o /run/strace -P ${path} -e trace=${call} -e inject=${call}:signal=KILL $hook
  fi
done
exec $hook
`,
    0o755,
  );
}

hostTest({
  name: "guard: an upgrade whose hook is killed half way through the swap is completed, not undone",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startInstalledEdge({ dropIn: QUICK, files: AGENT });
    const lib = "/usr/local/lib/ongrid-edge";
    killHookAt(host, "rename", `${lib}/promtail.new`, 1);
    const files = { node_exporter: "exporter\n", promtail: "promtail\n", ...NEW_AGENT };
    const { [`${lib}/apply-pending-upgrade`]: wrapper = "", ...programs } = host.installed();
    host.stage(NEW, files);
    const before = await host.hookLog();
    await host.restart();

    assertEquals(host.installed(), {
      ...programs,
      ...inPlace(files),
      ...keptAside(AGENT),
      [`${lib}/apply-pending-upgrade`]: wrapper,
    });
    assertEquals(await saidSince(host, before), [
      "4 [WARN] the hook failed: running it once more",
      `6 [INFO] finishing the apply of ${NEW} that was cut off`,
      `6 [INFO] applied ${NEW}: 3 file(s) swapped; its health is judged at the next start`,
    ]);
    await host.healthy(NEW);
    await host.restart();
    assertEquals(host.record("settled.json")?.version, NEW);
  },
});

hostTest({
  name: "guard: a settling that is killed twice leaves the new set, and the next start ends it",
  needs: ["root", "nspawn"],
  run: async () => {
    const old = { ...AGENT, promtail: "old\n", node_exporter: "old\n" };
    await using host = await startInstalledEdge({ dropIn: QUICK, files: old });
    const lib = "/usr/local/lib/ongrid-edge";
    const files = { node_exporter: "exporter\n", promtail: "promtail\n" };
    await applyHealthy(host, files);
    killHookAt(host, "/unlink", `${lib}/promtail.previous`, 2);
    const before = await host.hookLog();
    await host.restart();

    const now = host.installed();
    assertEquals(now, { ...now, ...inPlace({ ...files, ...NEW_AGENT }) });
    assertMatch((await saidSince(host, before)).at(-1) ?? "", /^3 .*the next start finishes/);
    await host.restart();
    assertEquals(Object.keys(host.installed()).filter((path) => path.endsWith(".previous")), []);
    assertEquals(host.record("settled.json")?.version, NEW);
  },
});

hostTest({
  name: "guard: records in a directory that the agent could have made move nothing",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startInstalledEdge({ dropIn: QUICK, files: AGENT });
    const env = host.read("etc/ongrid-edge/ongrid-edge.env") ?? "";
    const stage = "/var/lib/ongrid-edge/elsewhere";
    host.write("etc/ongrid-edge/ongrid-edge.env", `${env}ONGRID_EDGE_UPGRADE_STAGE_DIR=${stage}\n`);
    // A file that the agent wrote would be moved into a directory of root's.
    await host.container.sh(
      `install -d -o ongrid-edge ${stage}-root
ln -s /etc/systemd/system ${stage}
echo '[Service]' >${stage}.previous
echo ${stage} >${stage}-root/rescue
chown -h ongrid-edge ${stage} ${stage}.previous ${stage}-root/rescue`,
    );
    const units = host.names("etc/systemd/system");
    host.write("usr/local/lib/ongrid-edge/apply-pending-upgrade", "#!/bin/sh\nexit 1\n", 0o755);
    await host.restart();
    assertEquals(host.names("etc/systemd/system"), units);
    assertEquals((await host.unit("ActiveState")).ActiveState, "active");
    assertMatch((await host.hookLog()).join("\n"), /^3 .*elsewhere-root is no directory of this/m);
  },
});
