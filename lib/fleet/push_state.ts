/** The state of a push while it is worked on, what can happen to it, and how long things may take. */

import type { UpgradeReport } from "./messages.ts";
import { isFinal, type PushRecord } from "./records.ts";

/** The two calls of an upgrade. */
export type PushMethod = "fetch_package" | "apply_package";

/** How long things may take, in milliseconds. */
export interface PushSettings {
  /** Staging, from the first `fetch_package` on: as long as an agent itself gives a download. */
  fetchMs: number;
  /** An edge that was told to restart, or went away while staging, must be back within this. */
  verifyMs: number;
  /** Before a call whose answer was lost is made again. */
  pauseMs: number;
  /**
   * Before an edge that is back with its old version, and may or may not have heard the call to
   * apply, is asked once more: an agent that heard nothing restarts by itself after 5 s.
   */
  probeMs: number;
  /** Before a call to a method the edge does not know is made again: agents register late. */
  unknownMethodMs: number;
}

/** What a fleet uses unless told otherwise. */
export const DEFAULT_PUSH_SETTINGS: PushSettings = {
  fetchMs: 45 * 60_000,
  verifyMs: 5 * 60_000,
  pauseMs: 2_000,
  probeMs: 20_000,
  unknownMethodMs: 1_000,
};

/** What the push waits for. */
export type Wait =
  | { for: "start" }
  | { for: "answer"; method: PushMethod }
  | { for: "edge" }
  | { for: "pause"; until: number; then: PushMethod };

/** A push as the driver holds it: the stored record and what only this run of the manager knows. */
export interface Push {
  readonly record: PushRecord;
  readonly wait: Wait;
  /** How often the edge answered that it does not know the method. */
  readonly unknownMethod: number;
}

/** What can happen to a push. */
export type PushEvent =
  | { kind: "start" }
  | { kind: "resume" }
  | { kind: "answered"; method: PushMethod }
  | { kind: "refused"; method: PushMethod; text: string; unknownMethod: boolean }
  | { kind: "lost"; method: PushMethod; why: "offline" | "closed" | "timeout" }
  | { kind: "registered"; version: string; report: UpgradeReport | undefined; reportJson: string }
  | { kind: "back" }
  | { kind: "tick" };

/** What the machine goes by beside the event. */
export interface PushContext {
  now: number;
  /** Whether the edge is connected. */
  online: boolean;
  settings: PushSettings;
}

/** The outcome of a step. */
export interface Step {
  push: Push;
  /** The call to make once the state is stored. */
  call?: PushMethod;
}

/** When the driver must send the next `tick`; undefined when nothing is due by itself. */
export function wakeAt(push: Push): number | undefined {
  if (isFinal(push.record.phase)) return undefined;
  const times = [push.record.deadlineAt, push.wait.for === "pause" ? push.wait.until : undefined];
  const due = times.filter((time) => time !== undefined);
  return due.length === 0 ? undefined : Math.min(...due);
}
