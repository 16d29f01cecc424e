/** The names in a bundle while it is unpacked. */

import { extractError } from "./tar_header.ts";

/**
 * The files and directories of an archive. Each name may be used once, as a file or as a directory:
 * what a second entry of the same name means differs from reader to reader.
 */
export class BundleTree {
  readonly #maxNames: number;
  readonly #files = new Map<string, string>();
  readonly #directories = new Set<string>();
  readonly #listed = new Set<string>();

  /** @param maxNames Files and directories, those included that only paths of others imply. */
  constructor(maxNames: number) {
    this.#maxNames = maxNames;
  }

  /**
   * Takes a name into use.
   *
   * @param path Relative path; `""` is the root, which is always there.
   * @returns The directories to be made for it, outermost first.
   * @throws {InvalidBundleError} The name, or one above it, is in use for something else.
   */
  claim(path: string, kind: "file" | "directory"): string[] {
    if (path === "") return [];
    const taken = this.#files.has(path) || this.#listed.has(path) ||
      (kind === "file" && this.#directories.has(path));
    if (taken) throw extractError("duplicate name", path);
    const above = kind === "directory" ? [...parents(path), path] : parents(path);
    const missing = above.filter((directory) => !this.#directories.has(directory));
    for (const directory of missing) {
      if (this.#files.has(directory)) {
        throw extractError("name is a file and a directory", directory);
      }
      this.#directories.add(directory);
    }
    if (kind === "directory") this.#listed.add(path);
    else this.#files.set(path, "");
    if (this.#files.size + this.#directories.size > this.#maxNames) {
      throw extractError(`more than ${this.#maxNames} files and directories`);
    }
    return missing;
  }

  /** Records the lower-case hex SHA-256 of a file that {@link claim} took in. */
  setHash(path: string, sha256: string): void {
    this.#files.set(path, sha256);
  }

  /** Paths of all files, with their SHA-256. */
  get files(): ReadonlyMap<string, string> {
    return this.#files;
  }

  /** Paths of all directories below the root, each after the ones above it. */
  get directories(): ReadonlySet<string> {
    return this.#directories;
  }

  /** Forgets a file. */
  removeFile(path: string): void {
    this.#files.delete(path);
  }

  /** Forgets a directory. */
  removeDirectory(path: string): void {
    this.#directories.delete(path);
  }
}

/** Every directory above a relative path, outermost first. */
export function parents(path: string): string[] {
  const found: string[] = [];
  for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
    found.push(path.slice(0, at));
  }
  return found;
}
