/** The agent's state directory: what is staged, in which order its names change. */

import { join } from "@std/path";
import {
  ensureDirectory,
  removeTreeDurable,
  renameDurable,
  writeFileDurable,
} from "../../fs/durable.ts";
import { readForeignLine } from "../../fs/foreign.ts";
import { type Lock, tryAcquireLock } from "../../fs/lock.ts";
import { lstatOrUndefined } from "../../fs/lstat.ts";
import { ForeignFileError, OngridError, systemCode } from "../../cli/errors.ts";
import { isPlainVersion } from "../../bundle/version.ts";
import { STAGE } from "../paths.ts";
import { isObject } from "./json.ts";

/** Names beside {@linkcode STAGE} that only the agent itself uses. */
export const OWN = {
  /** Describes `staged/`; written after it, removed before it. */
  stagedRecord: "staged.json",
  /** A tree on its way out: half of it may be gone. */
  discarded: "discarded",
  /** Locked while something is being staged, by the service or by hand. */
  lock: "agent.lock",
} as const;

/** What lies in `staged/`, or in `incoming/` when it is `ready`. */
export interface StagedRecord {
  readonly version: string;
  /** Lower-case hex SHA-256 of the tarball. */
  readonly bundle_sha256: string;
  /** ISO 8601, UTC. */
  readonly staged_at: string;
  /** Size of the tarball. */
  readonly bytes: number;
  readonly manifest_files: number;
}

/** Largest record read, in bytes: five short fields. */
const MAX_RECORD_BYTES = 4096;
const SHA256 = /^[0-9a-f]{64}$/;

/** The part of the state directory that the agent writes. */
export class StageStore {
  /** Absolute path of the directory. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Absolute path of a name in it. */
  at(name: string): string {
    return join(this.path, name);
  }

  /** Makes the directory where the installation did not. */
  ensure(): void {
    ensureDirectory(this.path, { mode: 0o750 });
  }

  /**
   * Takes the lock that every change of staged bundles needs.
   *
   * @throws {OngridError} where another has it, or it cannot be opened.
   */
  lock(): Lock {
    this.ensure();
    const lock = this.tryLock();
    if (lock) return lock;
    throw new OngridError("another staging is under way on this host", {
      hint: "Wait until it is done, then try again.",
    });
  }

  /** Like {@linkcode lock}, but undefined where another has it. */
  tryLock(): Lock | undefined {
    try {
      return tryAcquireLock(this.at(OWN.lock));
    } catch (error) {
      // Left by a run as another account; root itself continues as the owner and fails alike.
      const foreign = systemCode(error) === "EACCES" && exists(this.at(OWN.lock));
      if (!foreign) throw error;
      throw new OngridError(`cannot lock ${this.path} for staging`, {
        cause: error,
        hint: `Give everything in it to its owner: ` +
          `chown -R --reference=${this.path} ${this.path}`,
      });
    }
  }

  /** The complete bundle in `staged/`, which waits for `apply_package`. */
  staged(): StagedRecord | undefined {
    return isDirectory(this.at(STAGE.staged)) ? this.#record(OWN.stagedRecord) : undefined;
  }

  /** The complete bundle in `incoming/`, which the next start applies. */
  ready(): StagedRecord | undefined {
    return isDirectory(this.at(STAGE.incoming)) ? this.#record(STAGE.ready) : undefined;
  }

  /** Turns what was unpacked and verified in `incoming.partial/` into `staged/`. */
  commit(record: StagedRecord): void {
    this.#remove(OWN.stagedRecord);
    this.#discard(STAGE.staged);
    renameDurable(this.at(STAGE.partial), this.at(STAGE.staged));
    this.#write(OWN.stagedRecord, record);
    this.#removeDiscarded();
  }

  /**
   * Hands `staged/` to the next start: it becomes `incoming/`, and `ready` is written last, so that
   * `ready` never speaks of another bundle and `incoming/` is whole at every moment.
   *
   * @throws {OngridError} where nothing, or another bundle than `sha256`, is staged.
   */
  promote(sha256: string): StagedRecord {
    const record = this.staged();
    if (record?.bundle_sha256 !== sha256) {
      throw new OngridError(`the staged bundle is not ${sha256.slice(0, 12)}…`, {
        hint: "Stage it again.",
      });
    }
    this.#dropIncoming();
    renameDurable(this.at(STAGE.staged), this.at(STAGE.incoming));
    this.#write(STAGE.ready, record);
    this.#remove(OWN.stagedRecord);
    this.#removeDiscarded();
    return record;
  }

  /**
   * Drops what is staged and not yet applied, all of it or only the bundle with this sha256.
   *
   * @returns the versions that were dropped.
   */
  drop(sha256?: string): string[] {
    const matches = (record: StagedRecord | undefined) =>
      sha256 === undefined || record?.bundle_sha256 === sha256;
    const dropped: string[] = [];
    const ready = this.ready();
    if (isDirectory(this.at(STAGE.incoming)) && matches(ready)) {
      this.#dropIncoming();
      dropped.push(ready?.version ?? "");
    }
    const staged = this.staged();
    if (staged && matches(staged)) {
      this.#remove(OWN.stagedRecord);
      this.#discard(STAGE.staged);
      dropped.push(staged.version);
    }
    this.#removeDiscarded();
    return dropped;
  }

  /** Says that this version connected and was accepted. */
  markHealthy(version: string): void {
    if (this.#line(STAGE.healthyMarker) !== version) {
      this.#writeText(STAGE.healthyMarker, version);
    }
    if (exists(this.at(STAGE.verdict))) this.#remove(STAGE.verdict);
  }

  /** Says why this version gives up; the next start rolls it back. */
  writeVerdict(reason: string): void {
    this.#writeText(STAGE.verdict, reason);
  }

  /**
   * The tree goes first: `ready` without it means nothing, but the hook would apply the tree
   * without `ready`, as existing agents leave it.
   */
  #dropIncoming(): void {
    this.#discard(STAGE.incoming);
    this.#remove(STAGE.ready);
  }

  /**
   * Moves a tree out of the way by one rename, as removing it takes many steps. Its name is free
   * afterwards; {@linkcode removeDiscarded} frees the space.
   */
  #discard(name: string): void {
    if (!exists(this.at(name))) return;
    this.#removeDiscarded();
    renameDurable(this.at(name), this.at(OWN.discarded));
  }

  #removeDiscarded(): void {
    if (exists(this.at(OWN.discarded))) removeTreeDurable(this.at(OWN.discarded));
  }

  #write(name: string, record: StagedRecord): void {
    this.#writeText(name, JSON.stringify(record));
  }

  #writeText(name: string, line: string): void {
    // A file or a link is replaced by the rename, a directory is not.
    if (isDirectory(this.at(name))) this.#remove(name);
    writeFileDurable(this.at(name), `${line}\n`, { mode: 0o644 });
  }

  #remove(name: string): void {
    removeTreeDurable(this.at(name));
  }

  #record(name: string): StagedRecord | undefined {
    try {
      const value: unknown = JSON.parse(this.#line(name) ?? "null");
      return isStagedRecord(value) ? value : undefined;
    } catch {
      // Damaged, or written by another agent in another form: as if nothing was there.
      return undefined;
    }
  }

  #line(name: string): string | undefined {
    try {
      return readForeignLine(this.at(name), { maxBytes: MAX_RECORD_BYTES });
    } catch (error) {
      if (error instanceof ForeignFileError) return undefined;
      throw error;
    }
  }
}

function isStagedRecord(value: unknown): value is StagedRecord {
  return isObject(value) && typeof value.version === "string" && isPlainVersion(value.version) &&
    typeof value.bundle_sha256 === "string" && SHA256.test(value.bundle_sha256) &&
    typeof value.staged_at === "string" && Number.isSafeInteger(value.bytes) &&
    Number.isSafeInteger(value.manifest_files);
}

function isDirectory(path: string): boolean {
  return lstatOrUndefined(path)?.isDirectory ?? false;
}

function exists(path: string): boolean {
  return lstatOrUndefined(path) !== undefined;
}
