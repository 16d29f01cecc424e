/** What became of the last upgrade, read from root's records and the markers beside them. */

import { join } from "@std/path";
import { readForeignLine, readForeignText } from "../../fs/foreign.ts";
import { type EdgePaths, ROOT_STATE, STAGE } from "../paths.ts";
import { isJournal, isOutcome, isSettled, type Outcome, type Settled } from "../records.ts";

/** What the agent tells a manager with `register_edge`; existing managers ignore it. */
export interface UpgradeReport {
  readonly state: "none" | "armed" | "settled" | "rolled_back" | "refused";
  /** The version the state is about; empty where none is known. */
  readonly version: string;
  /** Code and detail, for people: `never_healthy: …`. */
  readonly reason?: string;
  /** When it happened: ISO 8601, UTC. */
  readonly at?: string;
}

/** The unsettled upgrade, if there is one, and the last outcome. */
export interface UpgradeState {
  /** Version of the upgrade that waits for its verdict; undefined where nothing is armed. */
  readonly armed: string | undefined;
  /** Content of the health marker. */
  readonly healthy: string | undefined;
  /**
   * Armed, and the marker is not its version: the next start of this service rolls it back, and
   * whatever is staged until then would be lost with it.
   */
  readonly unsettled: boolean;
  readonly report: UpgradeReport;
}

/** Largest record read, in bytes, as the hook bounds them. */
const MAX_RECORD_BYTES = 16 * 1024 * 1024;

/** Largest marker read, in bytes. */
const MAX_MARKER_BYTES = 4096;

/** Longest reason that is sent, in characters. */
const MAX_REASON_CHARS = 500;

/**
 * Reads the state of the last upgrade. Nothing here fails: a record that cannot be read counts as
 * absent, as reporting must never keep an agent from its manager.
 *
 * @param version the version of the agent that asks.
 */
export function readUpgradeState(paths: EdgePaths, version: string): UpgradeState {
  const marker = (name: string) => readMarker(join(paths.stage, name));
  const record = <T>(name: string, check: (value: unknown) => value is T) =>
    readRecord(join(paths.rootState, name), check);
  const applied = record(ROOT_STATE.applied, isJournal);
  const armed = armedVersion({
    applied: applied?.armed ? applied.version : undefined,
    markedAt: marker(STAGE.lastUpgradeAt),
    marked: marker(STAGE.lastUpgradeVersion),
    running: version,
  });
  const healthy = marker(STAGE.healthyMarker);
  return {
    armed,
    healthy,
    unsettled: armed !== undefined && healthy !== armed,
    report: armed !== undefined
      ? { state: "armed", version: armed, ...at(applied?.applied_at) }
      : lastOutcome(record(ROOT_STATE.rollback, isOutcome), record(ROOT_STATE.settled, isSettled)),
  };
}

/**
 * Root's record and the markers name the same version, unless another hook has been at work since
 * the record was written: then the record alone proves nothing about another agent than this one.
 */
function armedVersion(known: {
  applied: string | undefined;
  markedAt: string | undefined;
  marked: string | undefined;
  running: string;
}): string | undefined {
  const { applied, marked, running } = known;
  if (known.markedAt) {
    return [applied, marked].find((each) => each === running) ?? marked ?? applied;
  }
  return applied === running ? applied : undefined;
}

function lastOutcome(
  outcome: Outcome | undefined,
  settled: Settled | undefined,
): UpgradeReport {
  // A rollback record stays until the next upgrade settles; a kill may leave both for a while.
  if (outcome && !(settled && settled.settled_at > outcome.rolled_back_at)) {
    return {
      state: reportedState(outcome),
      version: outcome.version,
      reason: reasonOf(outcome),
      ...at(outcome.rolled_back_at),
    };
  }
  if (!settled) return { state: "none", version: "" };
  return { state: "settled", version: settled.version, ...at(settled.settled_at) };
}

function reportedState(outcome: Outcome): UpgradeReport["state"] {
  switch (outcome.state) {
    case "rolled_back":
      return "rolled_back";
    case "kept": // not proven, but there was no complete old set to go back to
      return "settled";
    default:
      return "refused";
  }
}

function reasonOf(outcome: Outcome): string {
  const detail = outcome.detail.trim();
  return (detail === "" ? outcome.reason : `${outcome.reason}: ${detail}`)
    .slice(0, MAX_REASON_CHARS);
}

function at(time: string | undefined): { at?: string } {
  return time ? { at: time } : {};
}

function readMarker(path: string): string | undefined {
  try {
    return readForeignLine(path, { maxBytes: MAX_MARKER_BYTES }) || undefined;
  } catch {
    // Not a regular file with one line: says as little as none.
    return undefined;
  }
}

function readRecord<T>(path: string, check: (value: unknown) => value is T): T | undefined {
  try {
    const text = readForeignText(path, { maxBytes: MAX_RECORD_BYTES });
    if (text === undefined) return undefined;
    const value: unknown = JSON.parse(text);
    return check(value) ? value : undefined;
  } catch {
    // Corrupt: the hook, which owns it, sets it aside at the next start.
    return undefined;
  }
}
