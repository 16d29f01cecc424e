import type { StateOptions } from "./records.ts";
import { join } from "@std/path";
import { describeError, ForeignFileError } from "../cli/errors.ts";
import { copyVerified } from "../fs/copy.ts";
import {
  removeDurable,
  removeTreeDurable,
  renameDurable,
  writeFileDurable,
} from "../fs/durable.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { readForeignText } from "../fs/foreign.ts";
import { onceMore } from "./once_more.ts";

/** Largest marker read, in bytes: a version, a time, or one sentence of a verdict. */
const MAX_MARKER_BYTES = 4096;

/**
 * The agent's state directory as root sees it: owned by an unprivileged user, so every name in it
 * may be a trap. Markers are read bounded; what is not a regular file is set aside. What root
 * writes here only mirrors its own records, so a failure is a warning and never stops a start.
 */
export interface StageDir {
  readonly path: string;
  readonly owner: number;
  readonly group: number;
  /** The marker's text without surrounding white space; undefined where absent or not readable. */
  marker(name: string): string | undefined;
  /** Writes a marker by exclusive temporary file and rename. */
  writeMarker(name: string, text: string): void;
  removeMarker(name: string): void;
  /** Like {@linkcode removeMarker}, but throws: for a marker that would be believed if it stayed. */
  mustRemoveMarker(name: string): void;
  /** Keeps a copy of a file under this name. */
  keepCopy(name: string, from: string): void;
  /** Removes a file or a whole tree; links are removed, not followed. */
  removeTree(name: string): void;
  /** What lies under the name, not following links. */
  lstat(name: string): Deno.FileInfo | undefined;
  at(name: string): string;
}

/**
 * Opens the state directory.
 *
 * @returns undefined where there is none: nothing was ever staged here.
 * @throws {ForeignFileError} where the path is a symbolic link or no directory.
 */
export function openStageDir(
  path: string,
  { warn, now, readOnly = false }: StateOptions,
): StageDir | undefined {
  const info = lstatOrUndefined(path);
  if (!info) return undefined;
  if (!info.isDirectory) {
    throw new ForeignFileError(`cannot use ${path} as the state directory: it is not a directory`, {
      hint: `remove it, then create it: install -d -o ongrid-edge -g ongrid-edge ${path}`,
    });
  }
  const at = (name: string) => join(path, name);
  const attempt = (what: string, act: () => void) => {
    if (readOnly) return;
    try {
      act();
    } catch (error) {
      warn(`cannot ${what}: ${describeError(error).message}`);
    }
  };
  /** A directory where a file belongs would make every later write of that name fail. */
  const setAside = (name: string, why: string) => {
    if (readOnly) return warn(`cannot use ${at(name)}: ${why}`);
    const stamp = now().toISOString().replaceAll(/[^0-9]/g, "");
    attempt(`set ${at(name)} aside`, () => {
      renameDurable(at(name), at(`${name}.corrupt-${stamp}`));
      warn(`set ${at(name)} aside as ${name}.corrupt-${stamp}: ${why}`);
    });
  };
  const clearWay = (name: string) => {
    if (lstatOrUndefined(at(name))?.isDirectory) setAside(name, "a directory where a file belongs");
  };
  return {
    path,
    owner: info.uid ?? 0,
    group: info.gid ?? 0,
    at,
    lstat: (name) => lstatOrUndefined(at(name)),
    marker: (name) => {
      try {
        return onceMore(() => readForeignText(at(name), { maxBytes: MAX_MARKER_BYTES }))?.trim();
      } catch (error) {
        setAside(name, describeError(error).message);
        return undefined;
      }
    },
    writeMarker: (name, text) =>
      attempt(`write ${at(name)}`, () => {
        clearWay(name);
        writeFileDurable(at(name), text, { mode: 0o644 });
      }),
    mustRemoveMarker: (name) => {
      clearWay(name);
      removeDurable(at(name));
    },
    removeMarker: (name) =>
      attempt(`remove ${at(name)}`, () => {
        clearWay(name);
        removeDurable(at(name));
      }),
    keepCopy: (name, from) => {
      if (!lstatOrUndefined(from)?.isFile) return;
      attempt(`copy ${from} to ${at(name)}`, () => {
        clearWay(name);
        const temporary = at(`.${name}.${crypto.randomUUID()}.tmp`);
        copyVerified({ from, to: temporary, mode: 0o755 });
        renameDurable(temporary, at(name));
      });
    },
    removeTree: (name) => attempt(`remove ${at(name)}`, () => removeTreeDurable(at(name))),
  };
}
