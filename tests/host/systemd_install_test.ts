import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hostTest } from "./support/requirements.ts";
import { eventually } from "./support/nspawn.ts";
import { healthyAgent } from "./support/systemd_agents.ts";
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
import { forOtherMachine, withoutLoader } from "./support/systemd_elf.ts";

const INSTALL = ["/opt/kit/install-edge", "--cloud-addr", "127.0.0.1:40012", "--access-key=AK"];

hostTest({
  name: "install-edge installs all there is to an edge, and changes nothing when it runs again",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startEdgeHost();
    const { container } = host;
    await host.layOut();
    host.write("root/secret", "S3CRET\n");
    const install = [...INSTALL, "--secret-key-file", "/root/secret"];
    const first = await container.attempt(install);
    assertEquals(first.code, 0);

    assertEquals(host.installed(), inPlace(await edgePrograms(OLD)));
    const paths = [
      "/usr/local/bin/ongrid-edge",
      "/usr/local/lib/ongrid-edge/ongrid-runtime",
      "/etc/systemd/system/ongrid-edge.service",
      "/etc/ongrid-edge",
      "/etc/ongrid-edge/ongrid-edge.env",
      "/var/lib/ongrid-edge",
      "/var/lib/ongrid-edge/.upgrade",
      "/var/lib/ongrid-edge-upgrade",
      "/var/lib/ongrid-edge-upgrade/deno",
      "/var/log/ongrid-edge",
    ];
    assertEquals((await container.run(["stat", "-c", "%a %U:%G %n", ...paths])).split("\n"), [
      "755 root:root /usr/local/bin/ongrid-edge",
      "755 root:root /usr/local/lib/ongrid-edge/ongrid-runtime",
      "644 root:root /etc/systemd/system/ongrid-edge.service",
      "750 root:ongrid-edge /etc/ongrid-edge",
      "640 root:ongrid-edge /etc/ongrid-edge/ongrid-edge.env",
      "755 ongrid-edge:ongrid-edge /var/lib/ongrid-edge",
      "755 ongrid-edge:ongrid-edge /var/lib/ongrid-edge/.upgrade",
      "755 root:root /var/lib/ongrid-edge-upgrade",
      "700 root:root /var/lib/ongrid-edge-upgrade/deno",
      "755 ongrid-edge:ongrid-edge /var/log/ongrid-edge",
      "",
    ]);
    const env = host.read("etc/ongrid-edge/ongrid-edge.env") ?? "";
    assertMatch(env, /^ONGRID_EDGE_CLOUD_ADDR=127\.0\.0\.1:40012\n/m);
    assertMatch(env, /^ONGRID_EDGE_ACCESS_KEY=AK\nONGRID_EDGE_SECRET_KEY=S3CRET\n/m);
    assertEquals(await container.run(["systemctl", "is-enabled", "ongrid-edge"]), "enabled\n");
    assertEquals(await container.run(["systemd-analyze", "verify", "ongrid-edge.service"]), "");

    const { MainPID } = await host.unit("MainPID");
    const before = host.changes();
    const second = await container.attempt(install);
    assertEquals([second.code, second.stderr.match(/installed \/|wrote \//g)], [0, null]);
    assertEquals(host.changes(), before);
    assertEquals((await host.unit("MainPID")).MainPID, MainPID);
    assertEquals(host.read("etc/ongrid-edge/ongrid-edge.env"), env);
  },
});

hostTest({
  name: "install-edge refuses a host that cannot run the programs, says why and changes nothing",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startEdgeHost();
    const { container } = host;
    const program = Deno.readFileSync(host.path("usr/bin/true"));
    const cases = [
      [forOtherMachine(program), /cannot run on this host: .*[Ee]xec format error/],
      [withoutLoader(program), /cannot run on this host: .*not found/],
    ] as const;
    for (const [runtime, reason] of cases) {
      await host.layOut({ "ongrid-runtime": runtime });
      const before = host.changes();
      const { code, stderr } = await container.attempt(INSTALL);
      assertEquals(code, 3);
      assertMatch(stderr, reason);
      assertMatch(stderr, /^hint: .*glibc 2\.27 or newer/m);
      assertEquals(host.changes(), before);
    }
    assertEquals((await container.attempt(["id", "ongrid-edge"])).code, 1);
  },
});

hostTest({
  name: "install-edge over an upgrade that waits for its verdict is not taken back",
  needs: ["root", "nspawn"],
  run: async () => {
    const old = { "ongrid-edge": healthyAgent(OLD) };
    await using host = await startInstalledEdge({ dropIn: QUICK, files: old });
    host.stage(NEW, { "ongrid-edge": healthyAgent("v9.9.9"), promtail: "new\n" });
    await host.restart();
    assertEquals(host.record("applied.json")?.version, NEW);

    await host.layOut({ "ongrid-edge": healthyAgent("v1.0.2") });
    await host.container.run(INSTALL);
    await host.restart();
    await host.restart();
    const { promtail: _promtail, ...installed } = host.installed();
    assertEquals(installed, {
      ...inPlace({
        ...await edgePrograms(OLD),
        "ongrid-edge": healthyAgent("v1.0.2"),
        promtail: "new\n",
      }),
    });
    await host.healthy("v1.0.2");
    assertEquals(host.record("rollback.json"), undefined);
  },
});

hostTest({
  name: "uninstall-edge removes the programs, with --purge all the rest, never what is not ours",
  needs: ["root", "nspawn"],
  run: async () => {
    await using host = await startInstalledEdge({ files: { "ongrid-edge": healthyAgent(OLD) } });
    const { container } = host;
    const fresh = new Set(host.names("usr/local/lib"));
    const foreign = ["usr/local/bin/neighbour", "usr/local/bin/neighbour.previous"];
    for (const path of foreign) host.write(path, "not ours\n", 0o755);
    host.write("usr/local/bin/ongrid-edge.previous", "left by an upgrade\n");
    await eventually("the marker", () => host.read(`${STAGE}/healthy_marker`));

    await container.run(["/opt/kit/uninstall-edge"]);
    assertEquals(Object.keys(host.installed()), foreign.map((path) => `/${path}`));
    assertEquals(host.names("usr/local/lib").length, fresh.size - 1);
    assertEquals(host.read("etc/systemd/system/ongrid-edge.service"), undefined);
    assertStringIncludes(host.read("etc/ongrid-edge/ongrid-edge.env") ?? "", "ACCESS_KEY=AK");
    assertEquals(host.read(`${STAGE}/healthy_marker`), `${OLD}\n`);
    assertEquals(host.names(RECORDS).includes("lock"), true);
    assertEquals((await container.attempt(["id", "ongrid-edge"])).code, 0);
    assertEquals((await container.attempt(["pgrep", "-u", "ongrid-edge"])).stdout, "");

    await container.run(["/opt/kit/uninstall-edge", "--purge"]);
    assertEquals(Object.keys(host.installed()), foreign.map((path) => `/${path}`));
    for (const directory of ["etc/ongrid-edge", "var/lib/ongrid-edge", RECORDS]) {
      assertEquals(host.names(directory), [], directory);
    }
    assertEquals((await container.attempt(["getent", "passwd", "ongrid-edge"])).code, 2);
    assertEquals((await container.attempt(["getent", "group", "ongrid-edge"])).code, 2);

    // A host on which nothing is left can be installed anew.
    await container.run(INSTALL);
    await eventually(
      "the agent",
      async () => (await host.unit("ActiveState")).ActiveState === "active",
    );
  },
});
