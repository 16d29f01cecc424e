import { assertEquals, assertMatch } from "@std/assert";
import { hostTest } from "./support/requirements.ts";
import { eventually } from "./support/nspawn.ts";
import { healthyAgent, PROBE_NAME, probingAgent, probingHook } from "./support/systemd_agents.ts";
import {
  edgePrograms,
  inPlace,
  NEW,
  OLD,
  QUICK,
  RECORDS,
  STAGE,
  startEdgeHost,
  startInstalledEdge,
} from "./support/systemd_edge.ts";

hostTest({
  name: "the sandbox keeps the agent to its own directories, and the hook is outside of it",
  needs: ["root", "nspawn"],
  run: async () => {
    const anybodys = ["/srv/open", "/usr/local/open", "/home/open", "/etc/open"];
    const closed = [
      ...anybodys,
      "/usr/local/bin",
      "/usr/local/lib/ongrid-edge",
      "/etc",
      "/etc/ongrid-edge",
      `/${RECORDS}`,
      "/root",
      "/home",
      "/var/lib",
      "/opt",
    ];
    const open = [`/${STAGE}`, "/var/lib/ongrid-edge", "/var/log/ongrid-edge", "/tmp", "/var/tmp"];
    const agent = { "ongrid-edge": probingAgent(OLD, [...closed, ...open]) };
    await using host = await startEdgeHost();
    const { container } = host;
    // Closed by the sandbox alone: anybody may write there.
    await container.run(["mkdir", "-m", "777", ...anybodys]);
    await host.install({ files: agent });
    const answers = await eventually(
      "the answers of the agent",
      () => host.read(`${STAGE}/probed`),
    );
    const [user, capabilities, privileges, ...writable] = answers.trim().split("\n");
    assertEquals(writable, open);
    assertEquals(user, "ongrid-edge");
    assertEquals(capabilities, "CapBnd:\t0000000000000000");
    assertEquals(privileges, "NoNewPrivs:\t1");
    assertEquals(
      (await container.attempt(["ls", `/tmp/${PROBE_NAME}`])).code,
      2,
      "a /tmp of its own",
    );

    host.write("usr/local/lib/ongrid-edge/apply-pending-upgrade", probingHook(closed), 0o755);
    await host.restart();
    assertEquals(host.read(`${RECORDS}/probed`)?.trim().split("\n"), ["root", ...closed]);
    // 0 is a closed sandbox, 100 none at all. The network is what the agent is there for.
    await container.run(["systemd-analyze", "security", "--threshold=45", "ongrid-edge.service"]);
  },
});

hostTest({
  name: "each start has one line in the journal, with a level, under the tag of the hook",
  needs: ["root", "nspawn"],
  run: async () => {
    const agent = { "ongrid-edge": healthyAgent(OLD) };
    await using host = await startInstalledEdge({ dropIn: QUICK, files: agent });
    await host.restart();
    host.stage(NEW, { "ongrid-edge": healthyAgent(NEW) });
    await host.restart();
    await host.healthy(NEW);
    await host.restart();
    host.stage("v1.0.2", { promtail: "healthy, but never called v1.0.2\n" });
    await host.restart();
    await host.healthy(NEW);
    await host.restart();
    host.stage("v1.0.3", { promtail: "new\n" });
    host.write(`${STAGE}/incoming/promtail`, "not what the manifest says\n");
    await host.restart();
    const log = (await host.hookLog()).map((line) => line.replace(/[0-9a-f]{64}/g, "<sha256>"));
    assertEquals(log.slice(0, -1), [
      "6 [INFO] nothing staged",
      "6 [INFO] nothing staged",
      `6 [INFO] applied ${NEW}: 1 file(s) swapped; its health is judged at the next start`,
      `6 [INFO] ${NEW} is healthy: the previous version was removed`,
      "6 [INFO] applied v1.0.2: 1 file(s) swapped; its health is judged at the next start",
      `4 [WARN] rolled back v1.0.2: the agent reported ${NEW} as healthy`,
    ]);
    assertMatch(log.at(-1) ?? "", /^4 \[WARN\] refused v1\.0\.3: sha mismatch for .*promtail/);
  },
});

hostTest({
  name: "a new agent that no manager accepts gives up after its probation, and goes back by itself",
  needs: ["root", "nspawn"],
  run: async () => {
    const agent = { "ongrid-edge": healthyAgent(OLD) };
    await using host = await startInstalledEdge({ dropIn: QUICK, files: agent });
    const env = host.read("etc/ongrid-edge/ongrid-edge.env") ?? "";
    host.write(
      "etc/ongrid-edge/ongrid-edge.env",
      env.replace(/SECRET_KEY=.*/, "SECRET_KEY=SK\nONGRID_EDGE_UPGRADE_PROBATION=2s"),
      0o640,
    );
    const { "ongrid-edge": next = "" } = await edgePrograms(NEW);
    host.stage(NEW, { "ongrid-edge": next });
    await host.restart();

    const outcome = await eventually("the rollback", () => host.record("rollback.json"));
    assertEquals([outcome.version, outcome.reason], [NEW, "verdict"]);
    assertMatch(
      String(outcome.detail),
      /^v1\.0\.1 was not accepted by a manager within 2s: .*refused/i,
    );
    await host.healthy(OLD);
    assertEquals(host.installed(), inPlace({ ...await edgePrograms(OLD), ...agent }));
    assertEquals(host.read(`${STAGE}/verdict`), undefined);
    const lines = await host.container.journal("-u", "ongrid-edge.service");
    assertEquals(lines.filter(({ message }) => /status=75/.test(message)).length, 1);
  },
});
