import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { NEW, OLD, TestFleet } from "../support/edge_host.ts";

Deno.test("an edge that the manager does not know is refused, says so, and works once it is put right", async (t) => {
  await using fleet = await TestFleet.start({ edges: 1 });
  const member = fleet.member(1);
  const good = member.host.settings();
  const refusal = /refuses this edge: .*unauthorized; check ONGRID_EDGE_ACCESS_KEY/;

  async function restartWith(settings: Record<string, string>): Promise<void> {
    member.host.configure(settings);
    Deno.writeTextFileSync(member.host.log, "");
    member.host.kill();
    await fleet.waits("the edge to be gone", async () => {
      const [edge] = await fleet.api.edges();
      return edge?.status === "offline" || undefined;
    });
  }

  await t.step("a wrong secret key", async () => {
    await restartWith({ ...good, ONGRID_EDGE_SECRET_KEY: "x".repeat(32) });
    assertStringIncludes(await fleet.logged(member, refusal), "[ERROR]");
    const { status, body } = await fleet.api.push(member.id, NEW);
    assertEquals(status, 500);
    assertMatch(String(body.error), /edge not online/);
  });

  await t.step("an access key that nobody was given", async () => {
    await restartWith({ ...good, ONGRID_EDGE_ACCESS_KEY: "a".repeat(24) });
    await fleet.logged(member, refusal);
  });

  await t.step("the right keys again", async () => {
    await restartWith(good);
    await fleet.runs(member.name, OLD);
    const rollout = await fleet.rollOut({ version: NEW, edges: [member.id] });
    assertEquals(rollout.counts, { healthy: 1 });
  });

  await t.step("an edge that was removed, until it is enrolled anew", async () => {
    Deno.writeTextFileSync(member.host.log, "");
    assertEquals((await fleet.api.send("DELETE", `/api/v1/edges/${member.id}`)).status, 204);
    await fleet.logged(member, refusal);
    const { status, body } = await fleet.api.push(member.id, NEW);
    assertEquals([status, body.code], [404, "not-found"]);
    assertStringIncludes(String(body.error), `edge ${member.id}: not found`);
    const again = await fleet.api.enrol("again");
    member.host.configure({
      ...good,
      ONGRID_EDGE_ACCESS_KEY: again.access_key_id,
      ONGRID_EDGE_SECRET_KEY: again.secret_key,
    });
    member.host.kill();
    await fleet.runs("again", NEW);
  });
});
