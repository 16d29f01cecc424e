/** What happens to the fleet, and whether it went as it should. */

import { describeError } from "../lib/cli/errors.ts";
import { wrongFiles } from "./files_check.ts";
import { type FleetMember, waitFor } from "./fleet.ts";
import type { EdgeInfo, PushInfo, RolloutInfo } from "./fleet_api.ts";
import { RETIRED_SETTING } from "./retired_setting.ts";
import type { Fleet } from "./setup.ts";
import { NEW, OLD, type Stage } from "./stage.ts";
import { watchRollout } from "./watch.ts";

/** An edge in the end. */
export interface Ending {
  readonly name: string;
  /** What it should run. */
  readonly expected: string;
  /** What the manager says it runs. */
  readonly version: string;
  /** What is wrong there; empty where nothing is. */
  readonly problems: readonly string[];
}

/** How long an edge may take to be seen by the manager after a rollout, in milliseconds. */
const SEEN_MS = 10_000;

/** The demo's fleet with what each edge should run by now. */
export class Story {
  readonly #stage: Stage;
  readonly #fleet: Fleet;
  readonly #expected: Map<string, string>;
  readonly #problems: string[] = [];

  constructor(stage: Stage, fleet: Fleet) {
    this.#stage = stage;
    this.#fleet = fleet;
    this.#expected = new Map(fleet.members.map(({ name }) => [name, OLD]));
  }

  /** Upgrades all; one edge has a setting that the new agent does not understand any more. */
  async upgradeAllWithOneBroken(): Promise<void> {
    const victim = this.#victim();
    const { host, name } = victim;
    host.configure({ ...host.settings(), [RETIRED_SETTING]: "1" });
    this.#stage.step(
      `upgrading all to ${NEW}; ${name} has ${RETIRED_SETTING} set, on which the new agent ends`,
    );
    for (const each of this.#fleet.members) {
      if (each !== victim) this.#expected.set(each.name, NEW);
    }
    const rollout = await this.#rollOut({ version: NEW, edges: "all" });
    const push = rollout.edges?.find(({ edge_id }) => edge_id === victim.id);
    this.#expect(push?.phase === "rolled_back", `${name} did not fall back: ${told(push)}`);
    this.#expect((push?.reason ?? "") !== "", `${name} fell back without a reason`);
    this.#stage.output.info(`${name} fell back to ${OLD} by itself: ${push?.reason}`);
    this.#stage.output.info(`its log has: ${lastError(victim)}`);
    await this.#check();
  }

  /** Repairs the edge that fell back, and upgrades all again: the others have nothing to do. */
  async repairAndUpgradeAgain(): Promise<void> {
    const { host, name } = this.#victim();
    this.#stage.step(`removing ${RETIRED_SETTING} from ${name}, and upgrading all again`);
    const { [RETIRED_SETTING]: _retired, ...settings } = host.settings();
    host.configure(settings);
    this.#expected.set(name, NEW);
    const rollout = await this.#rollOut({ version: NEW, edges: "all" });
    const skipped = rollout.counts.skipped ?? 0;
    const others = this.#fleet.members.length - 1;
    this.#expect(skipped === others, `${skipped} edges were skipped, not ${others}`);
    await this.#check();
  }

  /** Upgrades a fleet that has nothing to be upgraded. */
  async upgradeToTheSame(): Promise<void> {
    this.#stage.step(`upgrading all to ${NEW} once more`);
    const before = this.#starts();
    const rollout = await this.#fleet.api.rollOut({ version: NEW, edges: "all" });
    this.#stage.output.info(rollout.message);
    this.#expect(rollout.state === "succeeded", `the rollout is ${rollout.state}`);
    this.#expect(this.#starts() === before, "an agent was restarted for nothing");
    await this.#check();
  }

  /** Brings one edge back to the old version, by the same call. */
  async downgradeOne(): Promise<void> {
    const [member] = this.#fleet.members;
    if (member === undefined) return;
    this.#stage.step(`downgrading ${member.name} to ${OLD}`);
    this.#expected.set(member.name, OLD);
    await this.#rollOut({ version: OLD, edges: [member.id] });
    await this.#check();
  }

  /** Where every edge is. */
  async endings(): Promise<Ending[]> {
    const edges = await this.#fleet.api.edges();
    return this.#fleet.members.map((member) => this.#ending(member, edges));
  }

  /** What went wrong on the way. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  async #rollOut(
    order: { version: string; edges: "all" | readonly number[] },
  ): Promise<RolloutInfo> {
    const { api } = this.#fleet;
    const { output, signal } = this.#stage;
    const begun = performance.now();
    const { id } = await api.rollOut(order);
    const rollout = await watchRollout({ api, rolloutId: id, output, signal });
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    output.info(`${rollout.message} (${seconds} s)`);
    output.event("rollout", { ...rollout });
    return rollout;
  }

  /** Compares every edge's version and files with what they should be. */
  async #check(): Promise<void> {
    const { signal, output } = this.#stage;
    const wait = { what: "the fleet to be where it should be", timeoutMs: SEEN_MS, signal };
    const isRight = async () => {
      const endings = await this.endings();
      return endings.every(({ problems }) => problems.length === 0) || undefined;
    };
    try {
      await waitFor(isRight, wait);
      output.info("every file on every edge is of the version that it should be");
    } catch (e) {
      if (signal.aborted) throw e;
      for (const { name, problems } of await this.endings()) {
        for (const problem of problems) this.#expect(false, `${name}: ${problem}`);
      }
      this.#stage.output.warn(describeError(e).message);
    }
  }

  #ending({ name, host }: FleetMember, edges: readonly EdgeInfo[]): Ending {
    const expected = this.#expected.get(name) ?? OLD;
    const edge = edges.find((each) => each.name === name);
    const release = this.#fleet.releases.get(expected);
    const problems = release === undefined ? [] : wrongFiles(host, release);
    if (edge?.status !== "online") problems.push("is not connected");
    const version = edge?.agent_version ?? "";
    if (version !== expected) problems.push(`runs ${version}, not ${expected}`);
    return { name, expected, version, problems };
  }

  #expect(isSo: boolean, otherwise: string): void {
    if (isSo) return;
    this.#stage.output.error(otherwise);
    this.#problems.push(otherwise);
  }

  /** The third edge, or the last of a smaller fleet. */
  #victim(): FleetMember {
    const { members } = this.#fleet;
    const victim = members[2] ?? members.at(-1);
    if (victim === undefined) throw new TypeError("The fleet has no edges");
    return victim;
  }

  #starts(): number {
    return this.#fleet.members.reduce((sum, { host }) => sum + host.starts, 0);
  }
}

function told(push: PushInfo | undefined): string {
  return push === undefined ? "it was not pushed" : `${push.phase} ${push.reason ?? ""}`;
}

/** The last error that the agent printed before it ended. */
function lastError({ host }: FleetMember): string {
  const lines = Deno.readTextFileSync(host.log).split("\n");
  return lines.findLast((line) => line.startsWith("error: ")) ?? "no error";
}
