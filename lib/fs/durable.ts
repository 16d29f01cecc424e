import { OngridError, systemCode } from "../cli/errors.ts";
import { CreatedFile, discarded } from "./created_file.ts";

/** Options of {@linkcode writeFileDurable}. */
export interface WriteDurableOptions {
  /** Permission bits of the file, whatever the umask; default 0644. */
  mode?: number;
}

/** Options of {@linkcode ensureDirectory}. */
export interface EnsureDirectoryOptions {
  /** Permission bits of the directories that have to be made, whatever the umask; default 0755. */
  mode?: number;
}

/**
 * Replaces `path` by a file with this content so that a power cut at any moment leaves the old
 * content or the new, complete: temporary file in the same directory, fsync, rename, fsync of the
 * directory. Safe in a directory that others can write: the temporary file is created exclusively
 * under a random name, and a link at `path` is replaced, not followed.
 *
 * Throws `OngridError` naming `path`; the temporary file is gone then and the old content stays.
 *
 * @example
 * ```ts
 * writeFileDurable("/var/lib/x/marker", "v1.2.3\n", { mode: 0o600 });
 * ```
 */
export function writeFileDurable(
  path: string,
  data: string | Uint8Array,
  options: WriteDurableOptions = {},
): void {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const temporary = temporaryName(path);
  attempt(`Cannot write ${path}`, () => {
    writeNew(temporary, bytes, options.mode ?? 0o644);
    try {
      Deno.renameSync(temporary, path);
    } catch (e) {
      throw discarded(temporary, e);
    }
    fsyncDirectory(parentOf(path));
  });
}

/**
 * Renames `from` to `to`, replacing a file there, and returns when the new name will survive a
 * power cut. Throws `OngridError`; `systemCode` of it is `"EXDEV"` when the two are on different
 * filesystems.
 */
export function renameDurable(from: string, to: string): void {
  attempt(`Cannot rename ${from} to ${to}`, () => {
    Deno.renameSync(from, to);
    const [source, target] = [parentOf(from), parentOf(to)];
    // The target first: between the two, the file may have both names, but never none.
    fsyncDirectory(target);
    if (source !== target) fsyncDirectory(source);
  });
}

/**
 * Returns when every name made, renamed or removed in the directory so far will survive a power
 * cut. Filesystems that cannot do this for a directory (some network ones) are taken as they are.
 */
export function syncDirectory(path: string): void {
  attempt(`Cannot sync the directory ${path}`, () => fsyncDirectory(path));
}

/** Returns when the content of the file will survive a power cut. */
export function syncFile(path: string): void {
  attempt(`Cannot sync ${path}`, () => {
    using file = Deno.openSync(path, { read: true });
    file.syncSync();
  });
}

/**
 * Removes a file, or a link but not what it leads to, for good. Absent is fine, and is made durable
 * too: the run that removed it may have been killed before it got that far. For something in a
 * directory that others can write and that must go whatever it is, use
 * {@linkcode removeTreeDurable}.
 */
export function removeDurable(path: string): void {
  attempt(`Cannot remove ${path}`, () => {
    ignoreAbsent(() => Deno.removeSync(path));
    ignoreAbsent(() => fsyncDirectory(parentOf(path)));
  });
}

/**
 * Removes a file or a directory with everything in it for good; links in it are removed, never
 * followed. Absent is fine. Half of it may be left when it throws or is killed: rename it to a name
 * nobody reads first where that matters.
 */
export function removeTreeDurable(path: string): void {
  attempt(`Cannot remove ${path}`, () => {
    ignoreAbsent(() => Deno.removeSync(path, { recursive: true }));
    ignoreAbsent(() => fsyncDirectory(parentOf(path)));
  });
}

/** What {@linkcode writeFileDurable} calls its temporary files. */
const TEMPORARY = /^\..*\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.tmp$/;

/**
 * Removes the temporary files that killed runs of {@linkcode writeFileDurable} left in a directory,
 * which may be absent. Only for whoever alone writes there, holding the lock: it takes the ground
 * from under a write that is in progress.
 */
export function sweepTemporaries(directory: string): void {
  attempt(`Cannot clean up ${directory}`, () => {
    ignoreAbsent(() => {
      for (const entry of Deno.readDirSync(directory)) {
        if (!entry.isFile || !TEMPORARY.test(entry.name)) continue;
        ignoreAbsent(() => Deno.removeSync(`${directory}/${entry.name}`));
      }
    });
  });
}

/**
 * Makes a directory and the missing ones above it, durably. One that is already there keeps its
 * mode. Throws `OngridError` when something else has the name, a symbolic link included: what is
 * written below must end up below.
 */
export function ensureDirectory(path: string, options: EnsureDirectoryOptions = {}): void {
  attempt(`Cannot make the directory ${path}`, () => {
    makeDirectory(path, options.mode ?? 0o755);
    if (!Deno.lstatSync(path).isDirectory) {
      throw new OngridError("there is something else of that name", {
        hint: `Look at it (ls -ld ${path}), move it away, then run it again.`,
      });
    }
  });
}

function makeDirectory(path: string, mode: number): void {
  try {
    Deno.mkdirSync(path, { mode });
  } catch (e) {
    if (e instanceof Deno.errors.AlreadyExists) return;
    if (!(e instanceof Deno.errors.NotFound) || parentOf(path) === path) throw e;
    makeDirectory(parentOf(path), mode);
    Deno.mkdirSync(path, { mode });
  }
  const made = Deno.lstatSync(path);
  if (made.isDirectory && made.mode !== null && (made.mode & 0o7777) !== mode) {
    Deno.chmodSync(path, mode);
  }
  fsyncDirectory(parentOf(path));
}

function writeNew(path: string, bytes: Uint8Array, mode: number): void {
  const created = new CreatedFile(path, { mode });
  try {
    using file = created;
    file.write(bytes);
    file.complete();
  } catch (e) {
    throw discarded(path, e);
  }
}

function fsyncDirectory(path: string): void {
  using directory = Deno.openSync(path, { read: true });
  try {
    directory.syncSync();
  } catch (e) {
    // What a filesystem says that has no fsync for directories.
    const code = systemCode(e);
    if (code !== "EINVAL" && code !== "ENOTSUP" && code !== "EOPNOTSUPP") throw e;
  }
}

/** A name nobody else can guess and take, hidden, in the same directory as `path`. */
function temporaryName(path: string): string {
  const slash = path.lastIndexOf("/");
  // Cut, since a name may be 255 bytes and the base may already be near that.
  const base = path.slice(slash + 1).slice(0, 48);
  return `${path.slice(0, slash + 1)}.${base}.${crypto.randomUUID()}.tmp`;
}

function parentOf(path: string): string {
  const trimmed = path.replace(/(?<=.)\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  if (slash < 0) return ".";
  return slash === 0 ? "/" : trimmed.slice(0, slash);
}

function ignoreAbsent(action: () => void): void {
  try {
    action();
  } catch (e) {
    if (!(e instanceof Deno.errors.NotFound)) throw e;
  }
}

function attempt(what: string, action: () => void): void {
  try {
    action();
  } catch (e) {
    throw new OngridError(what, { cause: e });
  }
}
