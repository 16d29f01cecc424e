import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { HookHost, sha256 } from "../support/hook_host.ts";

const OLD = "all v1 without node_exporter";
/** Made by minisign 0.11 over the manifest of the bundle that these tests stage. */
const made = (name: string) =>
  Deno.readTextFileSync(new URL(`../bundle/minisign/${name}`, import.meta.url));

function hostWithKey(signature: string | undefined): HookHost {
  const host = new HookHost();
  host.install("v1");
  host.write("upgrade.pub", made("key.pub"));
  host.stageBundle("v2");
  if (signature !== undefined) {
    host.write("state/.upgrade/incoming/MANIFEST.txt.minisig", signature);
  }
  return host;
}

Deno.test("with a pinned key a bundle signed by it is applied", () => {
  using host = hostWithKey(made("good.minisig"));
  assertEquals(host.run(), 0);
  assertEquals(host.installed(), "all v2");
});

for (
  const [what, signature, why] of [
    ["no signature", undefined, "MANIFEST.txt.minisig is missing"],
    ["another key's signature", made("other_key.minisig"), "made with key"],
    ["a legacy signature", made("legacy.minisig"), "legacy"],
    ["an altered comment", made("altered_comment.minisig"), "altered"],
  ] as const
) {
  Deno.test(`with a pinned key a bundle with ${what} is refused before anything is copied`, () => {
    using host = hostWithKey(signature);
    assertEquals(host.run(), 1);
    assertEquals(host.installed(), OLD);
    assertStringIncludes(String(host.record("rollback.json")?.detail), why);
  });
}

Deno.test("with a pinned key a manifest changed after signing is refused", () => {
  using host = hostWithKey(made("good.minisig"));
  const path = join(host.stage, "incoming/MANIFEST.txt");
  Deno.writeTextFileSync(path, Deno.readTextFileSync(path).replace("0755", "0777"));
  assertEquals(host.run(), 1);
  assertEquals(host.installed(), OLD);
});

Deno.test("a damaged pinned key lets nothing through, and the bundle waits for its repair", () => {
  using host = hostWithKey(made("good.minisig"));
  host.write("upgrade.pub", "garbage\n");
  assertEquals(host.run(), 1);
  assertEquals(host.installed(), OLD);
  assertEquals(host.record("rollback.json")?.state, "deferred");
  host.write("upgrade.pub", made("key.pub"));
  assertEquals(host.run(), 0);
  assertEquals(host.installed(), "all v2");
});

Deno.test("with a pinned key a single file, which has no signature, is refused", () => {
  using host = new HookHost();
  host.install("v1");
  host.write("upgrade.pub", made("key.pub"));
  host.mark("pending", "agent v2\n");
  host.mark("pending.sha256", sha256("agent v2\n"));
  assertEquals(host.run(), 1);
  assertEquals(host.installed(), OLD);
  assertEquals(host.read("state/.upgrade/pending"), undefined);
});
