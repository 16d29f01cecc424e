/** Whole directories: what is in them, and putting them back as they were. */

import { dirname, join } from "@std/path";

/** What a tree looks like: a line by path, without what differs between two like runs. */
export type Look = Record<string, string>;

/** Files larger than this are described by their size alone. */
const MAX_SHOWN_BYTES = 256 * 1024;

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z/g;

/**
 * Describes everything below a directory: kind, mode and content, with the directory's own path and
 * all times replaced. Two runs that came to the same end look the same.
 */
export function look(root: string, { except = [] }: { except?: readonly string[] } = {}): Look {
  const found: Look = {};
  const walk = (directory: string) => {
    for (const { name } of Deno.readDirSync(directory)) {
      const path = join(directory, name);
      const key = path.slice(root.length + 1);
      if (except.includes(key)) continue;
      const info = Deno.lstatSync(path);
      found[key] = described(path, info, root);
      if (info.isDirectory) walk(path);
    }
  };
  walk(root);
  return found;
}

function described(path: string, info: Deno.FileInfo, root: string): string {
  const mode = ((info.mode ?? 0) & 0o7777).toString(8);
  if (info.isDirectory) return `${mode} directory`;
  if (info.isSymlink) return `link to ${Deno.readLinkSync(path)}`;
  if (!info.isFile) return `${mode} special`;
  if (info.size > MAX_SHOWN_BYTES) return `${mode} ${info.size} bytes`;
  const text = Deno.readTextFileSync(path).replaceAll(root, "<root>").replaceAll(TIME, "<time>");
  return `${mode} ${JSON.stringify(text)}`;
}

/** The lines in which two looks differ; empty where they are the same. */
export function differences(found: Look, wanted: Look): string[] {
  const paths = [...new Set([...Object.keys(found), ...Object.keys(wanted)])].sort();
  return paths.filter((path) => found[path] !== wanted[path])
    .map((path) => `${path}: ${found[path] ?? "absent"}, wanted ${wanted[path] ?? "absent"}`);
}

interface Saved {
  readonly path: string;
  readonly info: Deno.FileInfo;
  readonly content: Uint8Array | string | undefined;
}

/** A tree in memory, see {@linkcode save}. */
export type Snapshot = readonly Saved[];

/** Keeps a tree of small files in memory: content, modes, owners, and which names are one file. */
export function save(root: string): Snapshot {
  const saved: Saved[] = [];
  const walk = (directory: string, relative: string) => {
    for (const { name } of Deno.readDirSync(directory)) {
      const path = join(directory, name);
      const info = Deno.lstatSync(path);
      const content = info.isFile
        ? Deno.readFileSync(path)
        : info.isSymlink
        ? Deno.readLinkSync(path)
        : undefined;
      saved.push({ path: join(relative, name), info, content });
      if (info.isDirectory) walk(path, join(relative, name));
    }
  };
  walk(root, "");
  return saved;
}

/** Makes the tree what it was; whatever has come since is removed. */
export function restore(root: string, snapshot: Snapshot): void {
  clear(root);
  const files = new Map<string, string>();
  for (const saved of snapshot) restoreOne(join(root, saved.path), saved, files);
}

/** Empties a directory; those below it that are mounts stay, empty. */
function clear(directory: string): void {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = join(directory, name);
    if (isDirectory) clear(path);
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EBUSY")) throw error;
    }
  }
}

function restoreOne(path: string, { info, content }: Saved, files: Map<string, string>): void {
  const inode = `${info.dev}:${info.ino}`;
  const known = files.get(inode);
  if (info.isSymlink) return Deno.symlinkSync(String(content), path);
  if (info.isFile && known !== undefined) return Deno.linkSync(known, path);
  if (info.isDirectory) {
    Deno.mkdirSync(path, { recursive: true });
  } else if (content instanceof Uint8Array) {
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeFileSync(path, content);
    files.set(inode, path);
  } else {
    throw new Error(`cannot put ${path} back`);
  }
  Deno.chownSync(path, info.uid, info.gid);
  Deno.chmodSync(path, (info.mode ?? 0) & 0o7777);
}
