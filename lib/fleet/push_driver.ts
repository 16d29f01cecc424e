import { describeError, OngridError } from "../cli/errors.ts";
import { type CallEdge, classifyFailure, failureText } from "./edge_call.ts";
import type { Effects, Log, Timer } from "./effects.ts";
import { decodeBody, type Registration } from "./messages.ts";
import { step } from "./push_machine.ts";
import {
  type Push,
  type PushEvent,
  type PushMethod,
  type PushSettings,
  wakeAt,
} from "./push_state.ts";
import { isFinal, type PushRecord } from "./records.ts";
import type { RegistryListener } from "./registry.ts";
import type { FleetStore } from "./store.ts";
import { type JsonObject, toJson } from "./values.ts";

/** How an edge took being told: whether it has been, and with which words. */
export interface Told {
  record: PushRecord;
  /** The edge's answer to `fetch_package`, when one came. */
  fetched: JsonObject | undefined;
  /** Why `apply_package` got no answer, when that is so and the connection was not simply closed. */
  applyError: string | undefined;
  /** Whether the edge is no longer enrolled, which ended the push. */
  removed: boolean;
}

/** A push under way. */
export interface RunningPush {
  /** Resolves when the edge has been told all there is to tell, or the push has ended before. */
  told: Promise<Told>;
  /** Resolves with the record when the push has ended, or when the manager stops. */
  settled: Promise<PushRecord>;
}

/** What the driver works with. */
export interface PushDriverOptions {
  store: FleetStore;
  effects: Effects;
  log: Log;
  callEdge: CallEdge;
  /** Whether the edge is connected and can be called. */
  isReady: (edgeId: bigint) => boolean;
  /** The URL under which edges download `file`. */
  bundleUrl: (file: string) => string;
}

interface LivePush {
  push: Push;
  readonly settings: PushSettings;
  readonly told: PromiseWithResolvers<Told>;
  readonly settled: PromiseWithResolvers<PushRecord>;
  /** Events are taken one after the other; this is the last one's end. */
  queue: Promise<void>;
  timer: Timer | undefined;
  endPause: () => void;
  fetched: JsonObject | undefined;
  applyError: string | undefined;
  removed: boolean;
}

/** How long an edge may take to answer `apply_package`, ms: it only has to say yes. */
const APPLY_TIMEOUT_MS = 30_000;

/** After a failed write of the database, it is tried again after this, ms. */
const STORE_RETRY_MS = 5_000;

/** Takes pushes through the state machine: stores each state, calls the edges, keeps the time. */
export class PushDriver implements RegistryListener {
  readonly #options: PushDriverOptions;
  /** By edge: there is never more than one for an edge. */
  readonly #live = new Map<bigint, LivePush>();
  #closed = false;

  constructor(options: PushDriverOptions) {
    this.#options = options;
  }

  /** Whether an upgrade of the edge is under way. */
  isBusy(edgeId: bigint): boolean {
    return this.#live.has(edgeId);
  }

  /** Begins a push whose bundle is known; the edge must not be busy. */
  start(record: PushRecord, settings: PushSettings): RunningPush {
    return this.#add(record, settings, { kind: "start" });
  }

  /** Takes up a push that an earlier run of the manager began, without telling the edge again. */
  resume(record: PushRecord, settings: PushSettings): RunningPush {
    return this.#add(record, settings, { kind: "resume" });
  }

  /** Lets go of an edge that is no longer enrolled. */
  drop(edgeId: bigint): void {
    const live = this.#live.get(edgeId);
    if (live === undefined) return;
    live.removed = true;
    this.#release(live);
  }

  registered(edgeId: bigint, registration: Registration, reportJson: string): boolean {
    const live = this.#live.get(edgeId);
    if (live === undefined) return false;
    const { agentVersion: version, report } = registration;
    this.#take(live, { kind: "registered", version, report, reportJson });
    return true;
  }

  returned(edgeId: bigint): void {
    const live = this.#live.get(edgeId);
    if (live !== undefined) this.#take(live, { kind: "back" });
  }

  /** Stops working; what is under way stays stored as it is, for the next run to take up. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#live.values()];
    for (const live of all) this.#release(live);
    await Promise.all(all.map((live) => live.queue));
  }

  #add(record: PushRecord, settings: PushSettings, event: PushEvent): RunningPush {
    const live: LivePush = {
      push: { record, wait: { for: "start" }, unknownMethod: 0 },
      settings,
      told: Promise.withResolvers(),
      settled: Promise.withResolvers(),
      queue: Promise.resolve(),
      timer: undefined,
      endPause: () => {},
      fetched: undefined,
      applyError: undefined,
      removed: false,
    };
    this.#live.set(record.edgeId, live);
    if (this.#closed) this.#release(live);
    else this.#take(live, event);
    return { told: live.told.promise, settled: live.settled.promise };
  }

  #take(live: LivePush, event: PushEvent): void {
    live.queue = live.queue.then(() => this.#handle(live, event));
  }

  async #handle(live: LivePush, event: PushEvent): Promise<void> {
    const { edgeId } = live.push.record;
    if (this.#live.get(edgeId) !== live) return;
    const context = {
      now: this.#options.effects.now(),
      online: this.#options.isReady(edgeId),
      settings: live.settings,
    };
    const { push, call } = step(live.push, event, context);
    while (push.record !== live.push.record && !(await this.#stored(push.record))) {
      await this.#pause(live, STORE_RETRY_MS);
      if (this.#live.get(edgeId) !== live) return;
    }
    this.#announce(live.push.record, push.record);
    live.push = push;
    if (isFinal(push.record.phase)) return this.#release(live);
    if (hasBeenTold(push)) this.#tell(live);
    this.#arm(live);
    if (call !== undefined) void this.#call(live, call);
  }

  /** Stores the record; false when the database could not, which is logged. */
  async #stored(record: PushRecord): Promise<boolean> {
    const { pushes } = this.#options.store;
    try {
      if (isFinal(record.phase)) await pushes.end(record);
      else await pushes.save(record);
      return true;
    } catch (e) {
      const { message } = describeError(e);
      this.#options.log.error(
        `Cannot store the upgrade of edge ${record.edgeId}, trying again: ${message}`,
      );
      return false;
    }
  }

  /** Makes the call and turns its outcome into an event; never rejects. */
  async #call(live: LivePush, method: PushMethod): Promise<void> {
    const { record } = live.push;
    try {
      const body = new TextEncoder().encode(toJson(this.#body(method, record)));
      const timeoutMs = this.#timeout(method, record);
      const reply = await this.#options.callEdge(record.edgeId, method, body, { timeoutMs });
      const answer = decodeBody(reply, `${method}: reply`);
      if (method === "fetch_package") live.fetched = answer;
      else if (answer.accepted === false) throw new OngridError("the edge did not accept it");
      this.#take(live, { kind: "answered", method });
    } catch (e) {
      const event = classifyFailure(method, e);
      const closed = event.kind === "lost" && event.why === "closed";
      if (method === "apply_package" && !closed) live.applyError = failureText(e);
      this.#take(live, event);
    }
  }

  #body(method: PushMethod, record: PushRecord): JsonObject {
    if (method === "apply_package") return {};
    const url = this.#options.bundleUrl(record.file);
    return { url, sha256: record.sha256, version: record.targetVersion };
  }

  #timeout(method: PushMethod, record: PushRecord): number {
    if (method === "apply_package") return APPLY_TIMEOUT_MS;
    return Math.max(1, (record.fetchDeadlineAt ?? 0) - this.#options.effects.now());
  }

  #arm(live: LivePush): void {
    const at = wakeAt(live.push);
    if (at === undefined) live.timer?.clear();
    else this.#wait(live, at - this.#options.effects.now(), { kind: "tick" });
  }

  #wait(live: LivePush, ms: number, event: PushEvent): void {
    live.timer?.clear();
    live.timer = this.#options.effects.setTimer(ms, () => this.#take(live, event));
  }

  /** Holds up the events of one push; ends early when the push is let go of. */
  async #pause(live: LivePush, ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#options.effects.setTimer(ms, resolve);
      live.endPause = () => {
        timer.clear();
        resolve();
      };
    });
  }

  #tell(live: LivePush): void {
    const { fetched, applyError, removed } = live;
    live.told.resolve({ record: live.push.record, fetched, applyError, removed });
  }

  #release(live: LivePush): void {
    live.timer?.clear();
    live.endPause();
    this.#live.delete(live.push.record.edgeId);
    this.#tell(live);
    live.settled.resolve(live.push.record);
  }

  #announce(before: PushRecord, after: PushRecord): void {
    if (before.phase === after.phase) return;
    const edge = `edge ${after.edgeId} (${after.edgeName})`;
    const way = `${after.fromVersion || "unknown"} -> ${after.targetVersion}`;
    const why = after.reason === "" ? "" : `: ${after.reason}`;
    const line = `${edge}: upgrade ${way}: ${after.phase}${why}`;
    if (isFinal(after.phase) && after.phase !== "healthy") this.#options.log.warn(line);
    else this.#options.log.info(line);
  }
}

/** Whether nothing is left to be told: the call to apply was answered, or was lost on the way. */
function hasBeenTold(push: Push): boolean {
  return push.record.applySentAt !== undefined && push.wait.for !== "answer";
}
