import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { RETIRED_SETTING } from "../../demo/retired_setting.ts";
import { NEW, OLD, pushOf, TestFleet } from "../support/edge_host.ts";

Deno.test("a fleet is upgraded, a broken edge falls back, is repaired, and all go down again", async (t) => {
  await using fleet = await TestFleet.start({ edges: 3 });
  const [first, broken] = [fleet.member(1), fleet.member(2)];

  await t.step(
    "all but the broken edge end up healthy with every file of the new version",
    async () => {
      broken.host.configure({ ...broken.host.settings(), [RETIRED_SETTING]: "1" });
      const rollout = await fleet.rollOut({ version: NEW, edges: "all" });
      assertEquals(rollout.state, "partial_failed");
      assertEquals(rollout.counts, { healthy: 2, rolled_back: 1 });
      for (const member of [first, fleet.member(3)]) {
        assertEquals(pushOf(rollout, member).observed_version, NEW);
        assertEquals(fleet.wrongFiles(member, NEW), []);
      }
    },
  );

  await t.step("the manager knows why the broken edge fell back", async () => {
    await fleet.runs(broken.name, OLD);
    const edge = (await fleet.api.edges()).find(({ id }) => id === broken.id);
    assertEquals(edge?.last_upgrade?.version, NEW);
    assertEquals(edge?.last_upgrade?.state, "rolled_back");
    assertStringIncludes(edge?.last_upgrade?.reason ?? "", "exit-code exited 2");
    assertEquals(fleet.wrongFiles(broken, OLD), []);
  });

  await t.step(
    "the same push works once the cause is gone, and leaves the others alone",
    async () => {
      const { [RETIRED_SETTING]: _retired, ...settings } = broken.host.settings();
      broken.host.configure(settings);
      const starts = first.host.starts;
      const rollout = await fleet.rollOut({ version: NEW, edges: "all" });
      assertEquals(rollout.counts, { healthy: 1, skipped: 2 });
      assertEquals(pushOf(rollout, first).code, "already_current");
      assertEquals(first.host.starts, starts);
      assertEquals(fleet.wrongFiles(broken, NEW), []);
    },
  );

  await t.step("upgrading to what is installed says so and does nothing", async () => {
    const starts = fleet.members.map(({ host }) => host.starts);
    const rollout = await fleet.rollOut({ version: NEW, edges: "all" });
    assertEquals(rollout.counts, { skipped: 3 });
    assertStringIncludes(rollout.message, "nothing to do");
    const { status, body } = await fleet.api.push(first.id, NEW);
    assertEquals([status, body.already_current], [200, true]);
    assertStringIncludes(String(body.message), "nothing to do");
    assertEquals(fleet.members.map(({ host }) => host.starts), starts);
  });

  await t.step("a restart settles the upgrade: nothing of the old version is left", async () => {
    const before = first.host.starts;
    first.host.kill();
    await fleet.waits(
      "the agent to be started again",
      () => first.host.starts > before || undefined,
    );
    await fleet.runs(first.name, NEW);
    assertEquals(fleet.wrongFiles(first, NEW), []);
    const left = [first.host.bin, first.host.lib].flatMap((each) => [...Deno.readDirSync(each)]);
    assertEquals(left.filter(({ name }) => name.endsWith(".previous")), []);
    assert(Deno.statSync(join(first.host.rootState, "settled.json")).isFile);
  });

  await t.step("downgrading is the same call", async () => {
    const rollout = await fleet.rollOut({ version: OLD, edges: "all" });
    assertEquals(rollout.counts, { healthy: 3 });
    for (const member of fleet.members) assertEquals(fleet.wrongFiles(member, OLD), []);
  });
});
