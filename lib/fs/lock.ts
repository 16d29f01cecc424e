import { ForeignFileError, OngridError, systemCode } from "../cli/errors.ts";
import { readForeignLine } from "./foreign.ts";
import { lstatOrUndefined } from "./lstat.ts";

/** A lock that is held, see {@linkcode acquireLock}. */
export interface Lock extends Disposable {
  /** Whether somebody else had it first: what was read before may be out of date. */
  readonly waited: boolean;
  /** Gives it up; again is harmless. */
  release(): void;
}

/** A process id and a newline: what the holder of a lock writes into it. */
const MAX_HOLDER_BYTES = 32;

/**
 * Takes the lock on `path`, waiting for as long as another process has it. It is an flock(2): it
 * ends with the process that holds it, however that ends, so a lock is never left behind. The file
 * is made with mode 0600 when absent and never removed, since two processes could then hold locks
 * on two files of one name. Belongs in a directory that only this account can write.
 *
 * Throws `OngridError`, `ForeignFileError` when `path` is not a regular file.
 */
export function acquireLock(path: string): Lock {
  const file = openLock(path);
  try {
    const waited = !file.tryLockSync(true);
    if (waited) file.lockSync(true);
    return held(file, waited);
  } catch (e) {
    file.close();
    throw new OngridError(`Cannot lock ${path}`, { cause: e });
  }
}

/** Like {@linkcode acquireLock}, but `undefined` at once when another process has the lock. */
export function tryAcquireLock(path: string): Lock | undefined {
  const file = openLock(path);
  try {
    if (file.tryLockSync(true)) return held(file, false);
  } catch (e) {
    file.close();
    throw new OngridError(`Cannot lock ${path}`, { cause: e });
  }
  file.close();
  return undefined;
}

/**
 * The process id that the last holder of a lock wrote into it, for messages to people only: it says
 * nothing about whether that process still has the lock, or still lives.
 */
export function lockHolder(path: string): string | undefined {
  const line = readForeignLine(path, { maxBytes: MAX_HOLDER_BYTES });
  return line !== undefined && /^[0-9]+$/.test(line) ? line : undefined;
}

function openLock(path: string): Deno.FsFile {
  try {
    refuseOther(path, lstatOrUndefined(path));
    // Reading as well: opening a FIFO for writing alone would wait for a reader.
    const file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
    const opened = file.statSync();
    const named = lstatOrUndefined(path);
    if (opened.isFile && named?.ino === opened.ino && named.dev === opened.dev) return file;
    file.close();
    throw new ForeignFileError(`The lock ${path} was replaced while it was being opened`);
  } catch (e) {
    if (e instanceof ForeignFileError) throw e;
    throw new OngridError(`Cannot open the lock ${path}`, { cause: e });
  }
}

function held(file: Deno.FsFile, waited: boolean): Lock {
  nameHolder(file);
  let open = true;
  const release = () => {
    if (!open) return;
    open = false;
    // Closing alone would not do: a child that is being forked has the open file until its exec.
    file.unlockSync();
    file.close();
  };
  return { waited, release, [Symbol.dispose]: release };
}

/**
 * The holder's process id is for people. Where there is no room for it the lock holds all the same:
 * finishing a swap that was cut off must not fail for want of a few bytes.
 */
function nameHolder(file: Deno.FsFile): void {
  try {
    file.truncateSync(0);
    file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
  } catch (e) {
    if (systemCode(e) === undefined) throw e;
  }
}

function refuseOther(path: string, info: Deno.FileInfo | undefined): void {
  if (info === undefined || info.isFile) return;
  throw new ForeignFileError(`The lock ${path} is not a regular file`, {
    hint: `Look at it (ls -l ${path}), remove it, then run it again.`,
  });
}
