/** The bundles a manager can send: files and checksums in its edge directory. */

import {
  bundleFileName,
  EDGE_ARCHES,
  type EdgeArch,
  parseBundleFileName,
  readSidecar,
} from "../bundle/sidecar.ts";
import { isPlainVersion } from "../bundle/version.ts";
import { describeError, ForeignFileError, InvalidBundleError } from "../cli/errors.ts";
import { ApiError, invalid } from "./api_error.ts";
import { sameRelease } from "./arch.ts";

/** One bundle that can be sent. */
export interface Bundle {
  file: string;
  arch: EdgeArch;
  version: string;
  /** The checksum in its sidecar, lower-case hex. */
  sha256: string;
  bytes: number;
  modifiedAt: Date | undefined;
}

/** A bundle file as the catalogue shows it: one that cannot be sent says why. */
export type CatalogEntry =
  & { arch: EdgeArch; version: string; file: string }
  & ({ available: true; bundle: Bundle } | { available: false; error: string });

/** Entries of the edge directory that are looked at; a fleet keeps a handful of versions. */
const MAX_ENTRIES = 10_000;

/** Versions named in the hint of an error. */
const MAX_HINT_VERSIONS = 10;

/** Finds bundles in one directory, anew for each request: an upgrade of the manager adds some. */
export class BundleDirectory {
  /** Where the files are. */
  readonly path: string;
  /** What an empty version in a request means. */
  readonly managerVersion: string;

  constructor(path: string, managerVersion: string) {
    this.path = path;
    this.managerVersion = managerVersion;
  }

  /**
   * The bundle of `version` (the manager's own when empty) for `arch`.
   *
   * @throws {ApiError} `not-wired-yet` without a bundle directory; `invalid` when the version is no
   * version, the bundle is missing or its checksum cannot be used.
   */
  async resolve(arch: EdgeArch, version: string): Promise<Bundle> {
    await this.#requireDirectory();
    const wanted = this.wantedVersion(version);
    for (const spelling of spellings(wanted)) {
      const file = bundleFileName({ arch, version: spelling });
      const found = await this.#inspect({ file, arch, version: spelling });
      if (found === undefined) continue;
      if (found.available) return found.bundle;
      throw invalid(`resolve bundle: ${found.error}`);
    }
    const file = bundleFileName({ arch, version: wanted });
    throw invalid(
      `resolve bundle: bundle missing: ${file} ` +
        `(installed Edge assets do not contain this architecture/version)`,
      await this.#hint(arch),
    );
  }

  /** Which version a request means; `invalid` when it is none. */
  wantedVersion(version: string): string {
    const wanted = version.trim() === "" ? this.managerVersion : version.trim();
    if (!isPlainVersion(wanted)) throw invalid("version is not a plain version string");
    return wanted;
  }

  /** Whether there is a bundle of `version` for any architecture; throws what `resolve` throws. */
  async requireVersion(version: string): Promise<string> {
    const wanted = this.wantedVersion(version);
    const entries = await this.list();
    const found = entries.find((entry) => entry.available && sameRelease(entry.version, wanted));
    if (found !== undefined) return found.version;
    return (await this.resolve(EDGE_ARCHES[0], wanted)).version;
  }

  /** Every bundle file of the directory, by version and architecture. */
  async list(): Promise<CatalogEntry[]> {
    await this.#requireDirectory();
    const entries: CatalogEntry[] = [];
    let looked = 0;
    for await (const { name } of Deno.readDir(this.path)) {
      if (++looked > MAX_ENTRIES) break;
      const id = parseBundleFileName(name);
      if (id === undefined) continue;
      const entry = await this.#inspect({ file: name, ...id });
      if (entry !== undefined) entries.push(entry);
    }
    return entries.sort((a, b) =>
      a.version.localeCompare(b.version, "en", { numeric: true }) || a.arch.localeCompare(b.arch)
    );
  }

  async #inspect(
    { file, arch, version }: { file: string; arch: EdgeArch; version: string },
  ): Promise<CatalogEntry | undefined> {
    const path = `${this.path}/${file}`;
    const unusable = (error: string): CatalogEntry => ({
      arch,
      version,
      file,
      available: false,
      error,
    });
    try {
      const stat = await Deno.lstat(path);
      if (!stat.isFile) return unusable(`bundle inaccessible: ${file}: not a regular file`);
      const sha256 = readSidecar(path);
      if (sha256 === undefined) {
        return unusable(`bundle sha file invalid: ${file}.sha256: file is missing`);
      }
      const modifiedAt = stat.mtime ?? undefined;
      const bundle = { file, arch, version, sha256, bytes: stat.size, modifiedAt };
      return { arch, version, file, available: true, bundle };
    } catch (e) {
      if (e instanceof Deno.errors.NotFound) return undefined;
      if (e instanceof InvalidBundleError || e instanceof ForeignFileError) {
        const { message } = describeError(e);
        // The API is no place for the manager host's paths.
        const shown = message.replaceAll(`${this.path}/`, "");
        return unusable(`bundle sha file invalid: ${file}.sha256: ${shown}`);
      }
      if (e instanceof Deno.errors.PermissionDenied) {
        return unusable(`bundle inaccessible: ${file}: permission denied`);
      }
      throw e;
    }
  }

  async #requireDirectory(): Promise<void> {
    try {
      if ((await Deno.stat(this.path)).isDirectory) return;
    } catch (e) {
      if (!(e instanceof Deno.errors.NotFound)) throw e;
    }
    throw new ApiError(
      "not-wired-yet",
      "not wired yet: this manager has no edge bundle directory",
      {
        hint: "Set ONGRID_EDGE_BUNDLE_DIR to the directory with the edge bundles.",
      },
    );
  }

  async #hint(arch: EdgeArch): Promise<string> {
    const versions = (await this.list())
      .filter((entry) => entry.available && entry.arch === arch)
      .map((entry) => entry.version);
    return versions.length === 0
      ? `There is no bundle for ${arch}: put one and its .sha256 into the edge directory.`
      : `Available for ${arch}: ${versions.slice(-MAX_HINT_VERSIONS).join(", ")}.`;
  }
}

/** A version as it was given, then with or without its leading `v`. */
function spellings(version: string): string[] {
  return version.startsWith("v") ? [version, version.slice(1)] : [version, `v${version}`];
}
