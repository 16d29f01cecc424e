import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { describeError, UsageError } from "../../../lib/cli/errors.ts";
import { agentConfig } from "../../../lib/edge/agent/config.ts";

const GOOD: Record<string, string> = {
  ONGRID_EDGE_CLOUD_ADDR: "manager.example:40012",
  ONGRID_EDGE_ACCESS_KEY: "ak",
  ONGRID_EDGE_SECRET_KEY: "sk",
};

const config = (changes: Record<string, string> = {}) => {
  const all = { ...GOOD, ...changes };
  return agentConfig((name) => all[name]);
};

function refusal(changes: Record<string, string>): UsageError {
  return assertThrows(() => config(changes), UsageError);
}

Deno.test("address and keys are enough; the rest has its defaults", () => {
  assertEquals(config(), {
    hostname: "manager.example",
    port: 40012,
    accessKey: "ak",
    secretKey: "sk",
    ca: undefined,
    probationMs: 600_000,
    applyGraceMs: 5_000,
  });
});

Deno.test("an IPv6 address stands in brackets", () => {
  assertEquals(config({ ONGRID_EDGE_CLOUD_ADDR: "[::1]:1" }).hostname, "::1");
});

Deno.test("probation can be switched off, periods be set", () => {
  const set = config({
    ONGRID_EDGE_UPGRADE_PROBATION: "0",
    ONGRID_EDGE_UPGRADE_APPLY_GRACE: "1m30s",
  });
  assertEquals([set.probationMs, set.applyGraceMs], [0, 90_000]);
});

Deno.test("a missing variable is named together with the file it belongs into", () => {
  for (const name of Object.keys(GOOD)) {
    const error = refusal({ [name]: "" });
    assert(error.message.includes(name), error.message);
    assert(error.hint?.includes("/etc/ongrid-edge/ongrid-edge.env"), error.hint);
    assertEquals(error.exitCode, 2);
  }
});

Deno.test("a value that cannot be understood is named with its variable", () => {
  const wrong: [string, string][] = [
    ["ONGRID_EDGE_CLOUD_ADDR", "manager.example"],
    ["ONGRID_EDGE_CLOUD_ADDR", "https://manager.example:40012"],
    ["ONGRID_EDGE_CLOUD_ADDR", "manager.example:70000"],
    ["ONGRID_EDGE_CLOUD_ADDR", "::1:40012"],
    ["ONGRID_EDGE_UPGRADE_PROBATION", "soon"],
    ["ONGRID_EDGE_UPGRADE_APPLY_GRACE", "-5s"],
    ["ONGRID_EDGE_TLS_CA_FILE", "/nonexistent/ca.pem"],
  ];
  for (const [name, value] of wrong) {
    const error = refusal({ [name]: value });
    assert(error.message.includes(name) && error.message.includes(value), error.message);
  }
});

Deno.test("a CA file without a certificate is refused before any connection", () => {
  const directory = Deno.makeTempDirSync();
  try {
    const path = join(directory, "ca.pem");
    Deno.writeTextFileSync(path, "not a certificate\n");
    assert(refusal({ ONGRID_EDGE_TLS_CA_FILE: path }).message.includes(path));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("a CA file that cannot be used is refused before any connection, and never waited for", () => {
  const directory = Deno.makeTempDirSync();
  try {
    const path = join(directory, "ca.pem");
    const good = JSON.parse(
      Deno.readTextFileSync(new URL("support/tls.json", import.meta.url)),
    ).cert;
    Deno.writeTextFileSync(path, `# ours\n${good}`);
    assertEquals(config({ ONGRID_EDGE_TLS_CA_FILE: path }).ca, `# ours\n${good}`);
    const damaged = "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n";
    Deno.writeTextFileSync(path, `${good}${damaged}`);
    assertStringIncludes(
      refusal({ ONGRID_EDGE_TLS_CA_FILE: path }).message,
      "a damaged certificate, number 2",
    );
    Deno.removeSync(path);
    new Deno.Command("mkfifo", { args: [path] }).outputSync();
    assertStringIncludes(
      describeError(refusal({ ONGRID_EDGE_TLS_CA_FILE: path })).message,
      "not a regular file",
    );
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("a period longer than a timer can take is refused with the longest", () => {
  assertStringIncludes(refusal({ ONGRID_EDGE_UPGRADE_PROBATION: "30d" }).message, "up to 24d");
});
