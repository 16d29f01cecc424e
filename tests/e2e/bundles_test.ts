import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hashFile } from "../../lib/fs/copy.ts";
import { sidecarPath } from "../../lib/bundle/sidecar.ts";
import { NEW, OLD, TestFleet } from "../support/edge_host.ts";

Deno.test("a bundle that is not what it should be is refused with the reason, and the next one works", async (t) => {
  await using fleet = await TestFleet.start({ edges: 1 });
  const member = fleet.member(1);
  const bundle = fleet.bundle(NEW);
  const good = Deno.readFileSync(bundle);
  const sha256 = hashFile(bundle);

  function publish(content: Uint8Array, hash: string): void {
    Deno.writeFileSync(bundle, content);
    Deno.writeTextFileSync(sidecarPath(bundle), `${hash}\n`);
  }

  /** Pushes; nothing may change on the edge. Returns what the manager answers. */
  async function refusal(): Promise<string> {
    const { starts } = member.host;
    const { status, body } = await fleet.api.push(member.id, NEW);
    assertEquals(status, 500);
    assertEquals(member.host.starts, starts);
    assertEquals(fleet.wrongFiles(member, OLD), []);
    const [edge] = await fleet.api.edges();
    assertEquals(edge?.last_upgrade?.state, "failed");
    assertStringIncludes(String(body.error), edge?.last_upgrade?.reason ?? "no reason");
    return String(body.error);
  }

  await t.step("the checksum beside it is of another file", async () => {
    publish(good, "0".repeat(64));
    assertStringIncludes(
      await refusal(),
      `sha256 mismatch (got ${sha256}, want ${"0".repeat(64)})`,
    );
  });

  await t.step("it was cut off after its checksum was made", async () => {
    publish(good.subarray(0, good.length / 2), sha256);
    assertMatch(
      await refusal(),
      new RegExp(`sha256 mismatch \\(got [0-9a-f]{64}, want ${sha256}\\)`),
    );
  });

  await t.step("it was cut off before its checksum was made", async () => {
    Deno.writeFileSync(bundle, good.subarray(0, good.length / 2));
    publish(good.subarray(0, good.length / 2), hashFile(bundle));
    assertMatch(await refusal(), /extract: .*(gzip|unexpected end|truncated)/);
  });

  await t.step("there is none of that version", async () => {
    const { status, body } = await fleet.api.push(member.id, "v9.9.9");
    assertEquals([status, body.code], [400, "invalid"]);
    assertStringIncludes(String(body.error), "bundle missing: edge-bundle-");
  });

  await t.step("the right one", async () => {
    publish(good, sha256);
    const { status, body } = await fleet.api.push(member.id, NEW);
    assertEquals([status, body.applied], [200, true]);
    await fleet.runs(member.name, NEW);
    assertEquals(fleet.wrongFiles(member, NEW), []);
  });
});
