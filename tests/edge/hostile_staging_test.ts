import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { HookHost, manifestOf, ordinaryFiles, sha256 } from "../support/hook_host.ts";

const OLD = "all v1 without node_exporter";

/** What somebody with the agent's rights may leave in `incoming/`, and words of the refusal. */
const REFUSED: Record<string, { spoil: (host: HookHost) => void; why: RegExp }> = {
  "a file that is not what the manifest says": {
    spoil: (host) => host.write("state/.upgrade/incoming/promtail", "tampered\n"),
    why: /sha mismatch/,
  },
  "a file that is missing": {
    spoil: (host) => Deno.removeSync(incoming(host, "promtail")),
    why: /promtail is missing/,
  },
  "a link instead of a file": {
    spoil: (host) => replaceByLink(incoming(host, "promtail"), "/etc/passwd"),
    why: /promtail is missing or not a regular file/,
  },
  "a FIFO instead of a file": {
    spoil: (host) => replaceByFifo(incoming(host, "promtail")),
    why: /promtail is missing or not a regular file/,
  },
  "a link instead of the manifest": {
    spoil: (host) => replaceByLink(incoming(host, "MANIFEST.txt"), "/etc/passwd"),
    why: /MANIFEST.txt/,
  },
  "a FIFO instead of the manifest": {
    spoil: (host) => replaceByFifo(incoming(host, "MANIFEST.txt")),
    why: /MANIFEST.txt/,
  },
  "a FIFO instead of VERSION": {
    spoil: (host) => replaceByFifo(incoming(host, "VERSION")),
    why: /VERSION/,
  },
  "a VERSION that is no version": {
    spoil: (host) => host.write("state/.upgrade/incoming/VERSION", "$(reboot)\n"),
    why: /VERSION is not a plain version string/,
  },
  "an empty VERSION": {
    spoil: (host) => host.write("state/.upgrade/incoming/VERSION", "\n"),
    why: /VERSION is empty/,
  },
  "a manifest of five megabytes": {
    spoil: (host) => host.write("state/.upgrade/incoming/MANIFEST.txt", "#".repeat(5 << 20)),
    why: /MANIFEST.txt/,
  },
  "a destination outside the managed directories": {
    spoil: (host) => respell(host, "/usr/local/lib/ongrid-edge/promtail", "/etc/cron.d/promtail"),
    why: /dest is below \/etc/,
  },
  "a destination that ends in .previous": {
    spoil: (host) => respell(host, "/promtail\n", "/promtail.previous\n"),
    why: /\.previous/,
  },
  "a declared version that is not the bundle's": {
    spoil: (host) => prepend(host, "# version: v9\n"),
    why: /declares version "v9"/,
  },
  "a declared architecture that is not this host's": {
    spoil: (host) => prepend(host, "# arch: sparc\n"),
    why: /declares arch "sparc"/,
  },
};

for (const [what, { spoil, why }] of Object.entries(REFUSED)) {
  Deno.test(`refused as a whole, with the reason: ${what}`, () => {
    using host = new HookHost();
    host.install("v1");
    host.stageBundle("v2");
    spoil(host);
    assertEquals(host.run(), 1);
    assertEquals(host.installed(), OLD);
    assertEquals(host.record("rollback.json")?.state, "refused");
    assertEquals(why.test(String(host.record("rollback.json")?.detail)), true, host.log);
    const left = Object.keys(host.tree()).filter((path) => /incoming|claimed|\.new$/.test(path));
    assertEquals(left, []);
    host.stageBundle("v2");
    assertEquals(host.run(), 0, "a good bundle is taken afterwards");
    assertEquals(host.installed(), "all v2");
  });
}

Deno.test("incoming that is a link is removed, not followed", () => {
  using host = new HookHost();
  host.install("v1");
  const elsewhere = join(host.root, "elsewhere");
  host.stageBundle("v2");
  Deno.renameSync(incoming(host, ""), elsewhere);
  Deno.symlinkSync(elsewhere, join(host.stage, "incoming"));
  assertEquals(host.run(), 1);
  assertEquals(host.installed(), OLD);
  assertEquals(host.read("elsewhere/VERSION"), "v2\n");
  assertEquals(host.read("state/.upgrade/incoming"), undefined);
});

Deno.test("a state directory that is a link stops nothing and changes nothing behind it", () => {
  using host = new HookHost();
  host.install("v1");
  host.stageBundle("v2");
  Deno.renameSync(host.stage, join(host.root, "elsewhere"));
  Deno.symlinkSync(join(host.root, "elsewhere"), host.stage);
  assertEquals(host.run(), 1);
  assertEquals(host.installed(), OLD);
  assertEquals(host.read("elsewhere/incoming/VERSION"), "v2\n");
});

for (const marker of ["healthy_marker", "last_upgrade_at", "verdict", "ready"]) {
  for (const [kind, make] of Object.entries(traps())) {
    Deno.test(`${kind} under the name ${marker} neither hangs nor stops a start or an upgrade`, () => {
      using host = new HookHost();
      host.install("v1");
      host.stageBundle("v2");
      const path = join(host.stage, marker);
      try {
        Deno.removeSync(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      make(path);
      host.run();
      assertEquals(host.installed(), "all v2");
      setAgain(path, make);
      host.run();
      assertEquals([OLD, "all v2"].includes(host.installed()), true);
      assertEquals(Deno.readTextFileSync("/etc/hostname").length > 0, true);
    });
  }
}

for (const name of ["journal.json", "applied.json", "rollback.json", "settled.json", "attempts"]) {
  for (const content of ["", "{", "[]", '{"format":1}', "\u0000\u0001"]) {
    Deno.test(`root's ${name} with ${JSON.stringify(content)} blocks no start and no upgrade`, () => {
      using host = new HookHost();
      host.install("v1");
      host.run();
      host.write(`root-state/${name}`, content);
      host.stageBundle("v2");
      host.run();
      assertEquals(host.installed(), "all v2");
      host.mark("healthy_marker", "v2\n");
      host.run();
      assertEquals(host.record("settled.json")?.version, "v2");
    });
  }
}

Deno.test("a corrupt record is set aside, and said", () => {
  using host = new HookHost();
  host.install("v1");
  host.run();
  host.write("root-state/applied.json", "garbage");
  host.run();
  assertStringIncludes(host.log, "aside");
  const kept = Object.entries(host.tree()).find(([path]) => path.includes("applied.json.corrupt"));
  assertEquals(kept?.[1], "garbage");
});

Deno.test("a bundle that is begun three times and never finished is dropped, and the agent starts", () => {
  using host = new HookHost();
  host.install("v1");
  host.run();
  host.stageBundle("v2");
  const count = { count: 3, bundle: sha256(manifestOf(ordinaryFiles("v2"))), targets: [] };
  host.write("root-state/attempts", JSON.stringify(count));
  host.run();
  assertEquals(host.installed(), OLD);
  assertEquals(host.record("rollback.json")?.reason, "attempts");
  assertEquals(host.read("state/.upgrade/incoming/VERSION"), undefined);
  host.stageBundle("v2");
  host.run();
  assertEquals(host.installed(), "all v2");
});

Deno.test("a foreign file beside a destination is not overwritten", () => {
  using host = new HookHost();
  host.install("v1");
  const files = ordinaryFiles("v2");
  files["tool"] = { content: "tool\n", dest: "/usr/local/bin/neighbour" };
  host.stageBundle("v2", files);
  assertEquals(host.run(), 1);
  assertEquals(host.read("bin/neighbour"), "not ours\n");
  assertEquals(host.read("bin/neighbour.previous"), "not ours either\n");
  assertStringIncludes(String(host.record("rollback.json")?.detail), "in the way");
});

Deno.test("a destination behind a link below the managed directory is refused", () => {
  using host = new HookHost();
  host.install("v1");
  Deno.mkdirSync(join(host.root, "outside"));
  Deno.symlinkSync(join(host.root, "outside"), join(host.lib, "sub"));
  const files = ordinaryFiles("v2");
  files["x1"] = { content: "x\n", dest: "/usr/local/lib/ongrid-edge/sub/x1" };
  host.stageBundle("v2", files);
  assertEquals(host.run(), 1);
  assertEquals(host.read("bin/ongrid-edge"), "agent v1\n");
  assertEquals([...Deno.readDirSync(join(host.root, "outside"))].length, 0);
});

function incoming(host: HookHost, name: string): string {
  return join(host.stage, "incoming", name);
}

function replaceByLink(path: string, target: string): void {
  Deno.removeSync(path);
  Deno.symlinkSync(target, path);
}

function replaceByFifo(path: string): void {
  Deno.removeSync(path);
  const { success } = new Deno.Command("mkfifo", { args: [path] }).outputSync();
  assertEquals(success, true);
}

function respell(host: HookHost, from: string, to: string): void {
  const path = incoming(host, "MANIFEST.txt");
  Deno.writeTextFileSync(path, Deno.readTextFileSync(path).replace(from, to));
}

function prepend(host: HookHost, line: string): void {
  const path = incoming(host, "MANIFEST.txt");
  Deno.writeTextFileSync(path, line + Deno.readTextFileSync(path));
}

function traps(): Record<string, (path: string) => void> {
  return {
    "a FIFO": (path) => {
      assertEquals(new Deno.Command("mkfifo", { args: [path] }).outputSync().success, true);
    },
    "a link to a file of root's": (path) => Deno.symlinkSync("/etc/hostname", path),
    "a directory": (path) => Deno.mkdirSync(path),
    "a megabyte": (path) => Deno.writeTextFileSync(path, "v2".repeat(1 << 19)),
  };
}

/** Sets the trap again for the run that judges, whatever the first one made of the name. */
function setAgain(path: string, make: (path: string) => void): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  make(path);
}
