/** What SQLite's errors mean to a person, by their primary result code (sqlite.org/rescode.html). */

import { OngridError } from "../../cli/errors.ts";

const BUSY = 5;

const HINTS = new Map<number, string>([
  [BUSY, "Another program holds it locked: end that, then try again."],
  [8, "It cannot be written: check its owner, its mode and how its filesystem is mounted."],
  [10, "The disk is full or failing: look at df -h, df -i and dmesg."],
  [11, "It is damaged: restore a backup, or move it away to begin with an empty registry."],
  [13, "Free some space on that filesystem (df -h), then try again."],
  [26, "It is no SQLite database: choose another file for the registry (--db, ONGRID_DB_PATH)."],
]);

/** Whether a step failed because another process was writing. */
export function isBusy(e: unknown): boolean {
  return resultCode(e) === BUSY;
}

/** The error of a database file that cannot be opened. */
export function cannotOpen(path: string, cause: unknown): OngridError {
  const hint = HINTS.get(resultCode(cause) ?? 0) ??
    "Its directory must exist and be writable for this account (--db, ONGRID_DB_PATH).";
  return new OngridError(`Cannot open the database ${path}`, { cause, hint });
}

/** An error of the database while the manager works, with what to do about it where that is known. */
function databaseError(cause: unknown): unknown {
  const code = resultCode(cause);
  if (code === undefined) return cause;
  return new OngridError("The database failed", { cause, hint: HINTS.get(code) });
}

/**
 * Runs a synchronous step of the database as the promise that the store's interface asks for.
 *
 * @throws {OngridError} The database failed; the cause says how.
 */
export function attempt<T>(step: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      resolve(step());
    } catch (e) {
      reject(databaseError(e));
    }
  });
}

/** The code in its low byte; the rest of an extended code says where it happened. */
function resultCode(e: unknown): number | undefined {
  const code = e instanceof Error && "errcode" in e ? e.errcode : undefined;
  return typeof code === "number" ? code & 0xff : undefined;
}
