import { join } from "@std/path";
import { describeError, OngridError } from "../cli/errors.ts";
import { readJson, writeJson } from "../fs/json.ts";
import { removeDurable, renameDurable } from "../fs/durable.ts";
import { isPlainVersion } from "../bundle/version.ts";
import { onceMore } from "./once_more.ts";
import { ROOT_STATE } from "./paths.ts";

/** One destination that an upgrade changes. */
export interface FileChange {
  /** Absolute path on this host. */
  readonly dest: string;
  /** Lower-case hex; null where the destination did not exist before. */
  readonly old_sha256: string | null;
  /** Lower-case hex. */
  readonly new_sha256: string;
}

/** Why a version did not stay. */
export type RollbackReason =
  | "never_healthy"
  | "other_version"
  | "verdict"
  | "exited"
  | "could_not_run"
  | "incomplete";

/**
 * A swap under way (`journal.json`) or waiting for its verdict (`applied.json`). Written before the
 * first destination changes; what it says happens, whoever is killed.
 */
export interface Journal {
  readonly format: 1;
  readonly op: "apply" | "rollback" | "settle";
  /** Empty for a single-file upgrade that named no version. */
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly applied_at: string;
  /** SHA-256 of the bundle's MANIFEST.txt, or of the single file. */
  readonly bundle: string;
  /** False for a single-file upgrade without a version: nothing will ever judge it. */
  readonly armed: boolean;
  /** The agent last. */
  readonly files: readonly FileChange[];
  readonly reason?: RollbackReason;
  readonly detail?: string;
}

/** What became of the last upgrade that did not stay or never started (`rollback.json`). */
export interface Outcome {
  readonly format: 1;
  /** `deferred`: still staged, tried again at the next start. */
  readonly state: "rolled_back" | "refused" | "dropped" | "deferred" | "kept";
  readonly version: string;
  readonly rolled_back_at: string;
  readonly reason: RollbackReason | "invalid" | "attempts" | "no_space" | "io" | "old_set_missing";
  readonly detail: string;
  /** Number of destinations that got their previous file back. */
  readonly restored: number;
}

/** The last upgrade that proved healthy (`settled.json`). */
export interface Settled {
  readonly format: 1;
  readonly version: string;
  readonly settled_at: string;
}

/** How often the bundle at hand was begun (`attempts`). */
export interface Attempts {
  readonly count: number;
  /** SHA-256 of its manifest, or empty as long as that is not known. */
  readonly bundle: string;
  /** Destinations whose `.new` may lie about. */
  readonly targets: readonly string[];
}

/** Largest record read, in bytes: 10 000 entries of a long path and two hashes each. */
const MAX_RECORD_BYTES = 16 * 1024 * 1024;
const SHA256 = /^[0-9a-f]{64}$/;

/** Root's own records. Each read sets a corrupt file aside and goes on without it. */
export interface Records {
  readonly directory: string;
  journal(): Journal | undefined;
  rescuedJournal(): Journal | undefined;
  applied(): Journal | undefined;
  outcome(): Outcome | undefined;
  settled(): Settled | undefined;
  attempts(): Attempts | undefined;
  write(name: string, value: Journal | Outcome | Settled | Attempts): void;
  remove(name: string): void;
  /** Renames a file that cannot be trusted out of the way, and reports it. */
  setAside(name: string, why: string): void;
}

/** How {@linkcode openRecords} and {@linkcode openStageDir} behave. */
export interface StateOptions {
  /** Is told of everything that was set aside or could not be done. */
  readonly warn: (message: string) => void;
  readonly now: () => Date;
  /** Changes nothing: for looking at a host while its agent runs. */
  readonly readOnly?: boolean;
}

/** Opens root's records. */
export function openRecords(
  directory: string,
  { warn, now, readOnly = false }: StateOptions,
): Records {
  const path = (name: string) => join(directory, name);
  const change = (act: () => void) => readOnly ? undefined : act();
  const setAside = (name: string, why: string) => {
    if (readOnly) return warn(`cannot use ${path(name)}: ${why}`);
    const stamp = now().toISOString().replaceAll(/[^0-9]/g, "");
    renameDurable(path(name), path(`${name}.corrupt-${stamp}`));
    warn(`set ${path(name)} aside as ${name}.corrupt-${stamp}: ${why}`);
  };
  const read = <T>(name: string, is: (value: unknown) => value is T): T | undefined => {
    const check = (value: unknown): T => {
      if (is(value)) return value;
      throw new OngridError("it is not a complete record");
    };
    try {
      return onceMore(() => readJson(path(name), { maxBytes: MAX_RECORD_BYTES, check }));
    } catch (error) {
      setAside(name, describeError(error).message);
      return undefined;
    }
  };
  return {
    directory,
    journal: () => read(ROOT_STATE.journal, isJournal),
    rescuedJournal: () => read(ROOT_STATE.rescuedJournal, isJournal),
    applied: () => read(ROOT_STATE.applied, isJournal),
    outcome: () => read(ROOT_STATE.rollback, isOutcome),
    settled: () => read(ROOT_STATE.settled, isSettled),
    attempts: () => read(ROOT_STATE.attempts, isAttempts),
    write: (name, value) => change(() => writeJson(path(name), value, { mode: 0o644 })),
    remove: (name) => change(() => removeDurable(path(name))),
    setAside,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isFileChange(value: unknown): value is FileChange {
  return isRecord(value) && typeof value.dest === "string" && value.dest.startsWith("/") &&
    typeof value.new_sha256 === "string" && SHA256.test(value.new_sha256) &&
    (value.old_sha256 === null ||
      (typeof value.old_sha256 === "string" && SHA256.test(value.old_sha256)));
}

/** True for a complete journal record of this format. */
export function isJournal(value: unknown): value is Journal {
  return isRecord(value) && value.format === 1 &&
    (value.op === "apply" || value.op === "rollback" || value.op === "settle") &&
    typeof value.version === "string" &&
    (value.version === "" || isPlainVersion(value.version)) &&
    typeof value.applied_at === "string" && typeof value.bundle === "string" &&
    typeof value.armed === "boolean" &&
    Array.isArray(value.files) && value.files.length > 0 && value.files.every(isFileChange);
}

/** True for a complete outcome record of this format. */
export function isOutcome(value: unknown): value is Outcome {
  return isRecord(value) && value.format === 1 && typeof value.state === "string" &&
    typeof value.version === "string" && typeof value.rolled_back_at === "string" &&
    typeof value.reason === "string" && typeof value.detail === "string" &&
    typeof value.restored === "number";
}

/** True for a complete settled record of this format. */
export function isSettled(value: unknown): value is Settled {
  return isRecord(value) && value.format === 1 && typeof value.version === "string" &&
    typeof value.settled_at === "string";
}

function isAttempts(value: unknown): value is Attempts {
  return isRecord(value) && Number.isSafeInteger(value.count) &&
    typeof value.bundle === "string" && Array.isArray(value.targets) &&
    value.targets.every((target) => typeof target === "string");
}
