import { assert, assertEquals } from "@std/assert";
import { existsSync } from "@std/fs";
import { join } from "@std/path";
import { NEW, OLD, pushOf, TestFleet } from "../support/edge_host.ts";
import { GatedFiles } from "../support/gated_files.ts";

/** A good part of a small bundle, and not all of it, in bytes. */
const PART = 20_000;

Deno.test("an upgrade survives whatever is interrupted while the bundle is downloaded", async (t) => {
  const gates: GatedFiles[] = [];
  await using fleet = await TestFleet.start({
    edges: 1,
    publicUrl: (directory) => {
      const gate = new GatedFiles(directory);
      gates.push(gate);
      return gate.url;
    },
  });
  const [files] = gates;
  assert(files !== undefined);
  await using gate = files;
  const member = fleet.member(1);

  /** Begins a rollout and returns when its download has come to a halt in the middle. */
  async function halfWay(version: string): Promise<number> {
    gate.requests.length = 0;
    gate.hold(PART);
    const { id } = await fleet.api.rollOut({ version, edges: "all" });
    await gate.reached;
    // Sent is not received: the agent must have written it, or there is nothing to go on from.
    await fleet.waits("the first part on the edge's disk", () => received() === PART || undefined);
    return id;
  }

  /** Bytes of the bundle that the agent has on its disk. */
  function received(): number {
    const directory = join(member.host.stage, "download");
    const files = existsSync(directory) ? [...Deno.readDirSync(directory)] : [];
    const part = files.find(({ name }) => name.endsWith(".part"));
    return part === undefined ? 0 : Deno.statSync(join(directory, part.name)).size;
  }

  async function endsWell(id: number, version: string): Promise<void> {
    const rollout = await fleet.ended(id);
    assertEquals([pushOf(rollout, member).phase, pushOf(rollout, member).reason], [
      "healthy",
      undefined,
    ]);
    assertEquals(fleet.wrongFiles(member, version), []);
  }

  await t.step("the connection breaks: the rest is fetched", async () => {
    const id = await halfWay(NEW);
    gate.cut();
    await endsWell(id, NEW);
    assertEquals(gate.requests.map(({ range }) => range), [undefined, `bytes=${PART}-`]);
  });

  await t.step("the agent is killed: the next one goes on where it was", async () => {
    const id = await halfWay(OLD);
    const { starts } = member.host;
    member.host.kill();
    await fleet.waits("the agent to be started", () => member.host.starts > starts || undefined);
    gate.release();
    await endsWell(id, OLD);
    assertEquals(gate.requests.map(({ range }) => range), [undefined, `bytes=${PART}-`]);
  });

  await t.step("the manager is killed: the next one finishes the rollout", async () => {
    const id = await halfWay(NEW);
    await fleet.manager.kill();
    await fleet.manager.start();
    await fleet.loginAgain();
    assertEquals((await fleet.api.rollout(id)).state, "running");
    gate.release();
    await endsWell(id, NEW);
    assertEquals(gate.requests.length, 1);
  });

  await t.step("the manager is restarted in order: the same", async () => {
    const id = await halfWay(OLD);
    await fleet.manager.stop();
    gate.release();
    await fleet.manager.start();
    await fleet.loginAgain();
    await endsWell(id, OLD);
  });
});
