/** The agent's state directory: what is staged, in which order its names change. */

import { join } from "@std/path";
import {
  ensureDirectory,
  removeDurable,
  removeTreeDurable,
  renameDurable,
  writeFileDurable,
} from "../../fs/durable.ts";
import { readForeignLine } from "../../fs/foreign.ts";
import { ForeignFileError, OngridError } from "../../cli/errors.ts";
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
    removeDurable(this.at(OWN.stagedRecord));
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
    removeDurable(this.at(STAGE.ready));
    this.#discard(STAGE.incoming);
    renameDurable(this.at(STAGE.staged), this.at(STAGE.incoming));
    this.#write(STAGE.ready, record);
    removeDurable(this.at(OWN.stagedRecord));
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
      removeDurable(this.at(STAGE.ready));
      this.#discard(STAGE.incoming);
      dropped.push(ready?.version ?? "");
    }
    const staged = this.staged();
    if (staged && matches(staged)) {
      removeDurable(this.at(OWN.stagedRecord));
      this.#discard(STAGE.staged);
      dropped.push(staged.version);
    }
    this.#removeDiscarded();
    return dropped;
  }

  /** Says that this version connected and was accepted. */
  markHealthy(version: string): void {
    if (this.#line(STAGE.healthyMarker) !== version) {
      writeFileDurable(this.at(STAGE.healthyMarker), `${version}\n`, { mode: 0o644 });
    }
    if (exists(this.at(STAGE.verdict))) removeDurable(this.at(STAGE.verdict));
  }

  /** Says why this version gives up; the next start rolls it back. */
  writeVerdict(reason: string): void {
    writeFileDurable(this.at(STAGE.verdict), `${reason}\n`, { mode: 0o644 });
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
    writeFileDurable(this.at(name), `${JSON.stringify(record)}\n`, { mode: 0o644 });
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
  return lstat(path)?.isDirectory ?? false;
}

function exists(path: string): boolean {
  return lstat(path) !== undefined;
}

function lstat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
