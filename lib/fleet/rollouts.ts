import { describeError } from "../cli/errors.ts";
import { ApiError, invalid } from "./api_error.ts";
import { hostBundleArch, sameRelease } from "./arch.ts";
import type { BundleDirectory } from "./bundles.ts";
import type { Effects, Log, Timer } from "./effects.ts";
import type { PushDriver, RunningPush } from "./push_driver.ts";
import type { PushSettings } from "./push_state.ts";
import { isFinal, type Phase, type PushRecord, type RolloutRecord } from "./records.ts";
import type { EdgeRegistry } from "./registry.ts";
import type { FleetStore } from "./store.ts";
import type { Upgrades } from "./upgrades.ts";

/** Edges of one manager; the registry is meant for fleets of this order, and lists are read whole. */
const MAX_FLEET = 100_000;

/** After an error that was not an edge's, the rollout goes on after this, ms. */
const RETRY_MS = 5_000;

/** How long an edge may take from connecting to its first call, ms: Go agents take a second. */
const FIRST_CALL_MS = 10_000;

/** The code of a push that was not made because the edge runs the version. */
export const ALREADY_CURRENT = "already_current";

/** What somebody orders. */
export interface RolloutRequest {
  /** Empty: the manager's own version. */
  version: string;
  edges: "all" | readonly bigint[];
  force: boolean;
  concurrency: number;
  /** How long an edge may take to come back, ms. */
  verifyMs: number;
  createdBy: string;
}

/** What the engine works with. */
export interface RolloutEngineOptions {
  store: FleetStore;
  bundles: BundleDirectory;
  registry: EdgeRegistry;
  driver: PushDriver;
  upgrades: Upgrades;
  effects: Effects;
  log: Log;
  settings: PushSettings;
  /**
   * After the start of the manager its edges come back one by one; until this is over, an edge that
   * is not connected is waited for instead of skipped. In ms.
   */
  reconnectMs: number;
}

/**
 * Brings many edges to a version, a bounded number at a time, each through its phases. Everything
 * is stored before it happens, so the next run of the manager takes up where this one ends.
 */
export class RolloutEngine {
  readonly #options: RolloutEngineOptions;
  readonly #startedAt: number;
  readonly #running = new Set<Promise<void>>();
  readonly #pausing = new Set<() => void>();
  #closed = false;

  constructor(options: RolloutEngineOptions) {
    this.#options = options;
    this.#startedAt = options.effects.now();
  }

  /**
   * Stores a rollout and begins it. When no edge needs the version it has ended by the time this
   * resolves.
   *
   * @throws {ApiError} `invalid`: no bundle of that version, no edge or an unknown one.
   */
  async create(request: RolloutRequest): Promise<RolloutRecord> {
    const { store, bundles, effects, log } = this.#options;
    const targetVersion = await bundles.requireVersion(request.version);
    const { items: fleet } = await store.edges.list({}, { limit: MAX_FLEET, offset: 0 });
    const wanted = request.edges === "all" ? undefined : new Set(request.edges);
    const edges = fleet.filter((edge) => wanted?.has(edge.id) ?? true);
    if (wanted !== undefined) {
      for (const edge of edges) wanted.delete(edge.id);
      if (wanted.size > 0) throw invalid(`unknown edges: ${[...wanted].join(", ")}`);
    }
    if (edges.length === 0) throw invalid("there is no edge to upgrade", "Enrol edges first.");
    const rollout = await store.pushes.addRollout(
      { ...request, targetVersion, now: effects.now() },
      edges.map((edge) => edge.id),
    );
    log.info(`rollout ${rollout.id}: ${edges.length} edges to ${targetVersion}`);
    const end = this.#begin(rollout, []);
    const isNeeded = request.force ||
      edges.some((edge) => !sameRelease(edge.agentVersion, targetVersion));
    if (isNeeded) return rollout;
    await end;
    return await store.pushes.getRollout(rollout.id) ?? rollout;
  }

  /** Takes up what an earlier run of the manager left; edges that were told are not told again. */
  async resume(): Promise<void> {
    const { store, driver, upgrades, settings } = this.#options;
    const rollouts = await store.pushes.runningRollouts();
    const verifyMs = new Map(rollouts.map((rollout) => [rollout.id, rollout.verifyMs]));
    const resumed = new Map<bigint | undefined, RunningPush[]>();
    for (const record of await store.pushes.inFlight()) {
      const own = verifyMs.get(record.rolloutId ?? 0n) ?? settings.verifyMs;
      const running = driver.resume(record, { ...settings, verifyMs: own });
      const ofRollout = resumed.get(record.rolloutId) ?? [];
      ofRollout.push(running);
      resumed.set(record.rolloutId, ofRollout);
    }
    for (const record of await store.pushes.orphans()) {
      const reason = "the manager was stopped before the edge was told";
      await upgrades.end(record, "failed", "interrupted", reason);
    }
    for (const rollout of rollouts) {
      this.#options.log.info(`rollout ${rollout.id}: going on after a restart of the manager`);
      this.#begin(rollout, resumed.get(rollout.id) ?? []);
    }
  }

  /**
   * Stops sending. Resolves when the last worker has ended, for which the driver and the registry
   * must be closed, too.
   */
  async close(): Promise<void> {
    this.#closed = true;
    for (const end of [...this.#pausing]) end();
    await Promise.all(this.#running);
  }

  #begin(rollout: RolloutRecord, resumed: RunningPush[]): Promise<void> {
    const run = this.#run(rollout, resumed).finally(() => this.#running.delete(run));
    this.#running.add(run);
    return run;
  }

  /** Works until every push of the rollout has ended; never rejects. */
  async #run(rollout: RolloutRecord, resumed: RunningPush[]): Promise<void> {
    const inFlight = [...resumed];
    while (!this.#closed) {
      const queue = this.#queued(rollout);
      const workers = Array.from(
        { length: Math.max(1, rollout.concurrency) },
        () => this.#work(rollout, queue, inFlight),
      );
      // All of them must be over before the queue is read anew, or two would take the same edge.
      const ends = await Promise.allSettled(workers);
      for (const end of ends) if (end.status === "rejected") this.#heldUp(rollout, end.reason);
      if (this.#closed || await this.#finish(rollout)) return;
      await this.#pause(RETRY_MS);
    }
  }

  /** The queued pushes in order. Workers share it: a generator hands out each one once. */
  async *#queued(rollout: RolloutRecord): AsyncGenerator<PushRecord, undefined> {
    let after = 0n;
    while (!this.#closed) {
      const next = await this.#options.store.pushes.nextQueued(rollout.id, after);
      if (next === undefined) return;
      after = next.id;
      yield next;
    }
  }

  /** One of the places in flight: first what is under way already, then the queue. */
  async #work(
    rollout: RolloutRecord,
    queue: AsyncGenerator<PushRecord, undefined>,
    inFlight: RunningPush[],
  ): Promise<void> {
    for (let resumed = inFlight.shift(); resumed !== undefined; resumed = inFlight.shift()) {
      await resumed.settled;
    }
    for await (const record of { [Symbol.asyncIterator]: () => ({ next: () => queue.next() }) }) {
      if (this.#closed) return;
      await this.#push(rollout, record);
    }
  }

  /** Takes one edge from the queue to the end of its push. */
  async #push(rollout: RolloutRecord, record: PushRecord): Promise<void> {
    const { store, bundles, registry, driver, upgrades, settings } = this.#options;
    const connected = await registry.whenReady(record.edgeId, this.#patience(record.edgeId));
    if (this.#closed) return;
    const edge = await store.edges.get(record.edgeId);
    if (edge === undefined) return;
    const skip = (code: string, reason: string) => upgrades.end(record, "skipped", code, reason);
    if (!rollout.force && sameRelease(edge.agentVersion, rollout.targetVersion)) {
      return await skip(ALREADY_CURRENT, `already runs ${edge.agentVersion}`);
    }
    if (!connected) return await skip("edge_offline", "edge not online");
    if (edge.host === undefined) return await skip("edge_state_unavailable", "never registered");
    const host = hostBundleArch(edge.host);
    if ("problem" in host) return await skip("unsupported_arch", host.problem);
    try {
      const bundle = await bundles.resolve(host.arch, rollout.targetVersion);
      if (this.#closed) return;
      if (driver.isBusy(edge.id)) return await skip("in_flight", "another upgrade is under way");
      const own = { ...settings, verifyMs: rollout.verifyMs };
      await upgrades.begin(record, edge, bundle, own).settled;
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      await upgrades.end(record, "failed", "bundle_unavailable", e.message);
    }
  }

  #heldUp(rollout: RolloutRecord, e: unknown): void {
    const { message } = describeError(e);
    this.#options.log.error(`rollout ${rollout.id} is held up, trying again: ${message}`);
  }

  /** Closes the books when every push has ended; false when one has not. */
  async #finish(rollout: RolloutRecord): Promise<boolean> {
    const { store, effects, log } = this.#options;
    try {
      const counts = await store.pushes.countPhases(rollout.id);
      if ([...counts.keys()].some((phase) => !isFinal(phase))) return false;
      const state = finalState(counts);
      await store.pushes.finishRollout(rollout.id, { state, now: effects.now() });
      const summary = [...counts].map(([phase, count]) => `${count} ${phase}`).join(", ");
      log.info(`rollout ${rollout.id} to ${rollout.targetVersion}: ${state}: ${summary}`);
      return true;
    } catch (e) {
      this.#heldUp(rollout, e);
      return false;
    }
  }

  /** How long to wait for an edge that cannot be called now, ms. */
  #patience(edgeId: bigint): number {
    const { effects, reconnectMs, registry } = this.#options;
    const running = effects.now() - this.#startedAt;
    // Below 0 the clock was set back: nobody can say how long to wait, and it must not be for hours.
    const reconnecting = running < 0 ? 0 : reconnectMs - running;
    return Math.max(reconnecting, registry.isOnline(edgeId) ? FIRST_CALL_MS : 0);
  }

  async #pause(ms: number): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const timer: Timer = this.#options.effects.setTimer(ms, () => end());
      const end = () => {
        timer.clear();
        this.#pausing.delete(end);
        resolve();
      };
      this.#pausing.add(end);
    });
  }
}

function finalState(counts: ReadonlyMap<Phase, number>): RolloutRecord["state"] {
  const failures = (["failed", "rolled_back", "timed_out"] as const)
    .reduce((sum, phase) => sum + (counts.get(phase) ?? 0), 0);
  if (failures === 0) return "succeeded";
  return (counts.get("healthy") ?? 0) > 0 ? "partial_failed" : "failed";
}
