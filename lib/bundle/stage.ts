/**
 * Staging: a bundle that was downloaded becomes a directory of verified files
 * (`spec/upgrade.md`, "Edge stages").
 */

import { createHash } from "node:crypto";
import { describeError, InvalidBundleError, OngridError } from "../cli/errors.ts";
import { removeTreeDurable, syncDirectory } from "../fs/durable.ts";
import { parents } from "./bundle_tree.ts";
import { type CheckedBundle, checkUnpacked } from "./check_unpacked.ts";
import { gunzip, readChunks } from "./gunzip.ts";
import { MAX_BUNDLE_BYTES, MAX_BUNDLE_ENTRIES } from "./limits.ts";
import { MAX_MANIFEST_BYTES } from "./manifest.ts";
import { type ManagedRoots, MANIFEST_NAME, RESERVED_NAMES, VERSION_NAME } from "./owned.ts";
import { quote } from "./text.ts";
import { unpack, type Unpacked } from "./unpack.ts";
import { MAX_VERSION_FILE_BYTES } from "./version.ts";

/** How far staging is, in bytes of the tarball. */
export interface StageProgress {
  readonly phase: "verify" | "unpack";
  readonly done: number;
  readonly total: number;
}

/** What {@link stageBundle} is to do. */
export interface StageOptions {
  /** Path of the bundle, complete. */
  readonly tarball: string;
  /** SHA-256 that the whole tarball must have, 64 hex digits in either case. */
  readonly sha256: string;
  /**
   * SHA-256 of the tarball when it was computed already, while the same bytes were downloaded: the
   * tarball is not read once more before it is unpacked. It is still hashed while being unpacked,
   * and refused when it has become another one since.
   */
  readonly verifiedSha256?: string | undefined;
  /** The version asked for; absent: any. */
  readonly version?: string | undefined;
  /** The system of this host, `linux-amd64`; absent: any. */
  readonly arch?: string | undefined;
  readonly roots: ManagedRoots;
  /** The directory to make. Nothing may have that name, and its parent must exist. */
  readonly dir: string;
  /** Upper bound of the tarball, default {@link MAX_BUNDLE_BYTES}. */
  readonly maxBytes?: number | undefined;
  /** Upper bound of all files together, default {@link MAX_BUNDLE_BYTES}. */
  readonly maxUnpackedBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: StageProgress) => void) | undefined;
  /** Called for what is odd and was put right, such as a file that the manifest does not name. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** A bundle that is complete in its directory and on the disk. */
export interface StagedBundle extends CheckedBundle {
  /** Bytes of the tarball. */
  readonly bytes: number;
  /** Bytes of the files that the manifest names. */
  readonly manifestFiles: number;
}

/**
 * Verifies the tarball, unpacks it into a new directory, checks every line of its manifest, sets
 * the modes and makes all of it durable. Files that the manifest does not name are removed with a
 * warning, as existing agents tolerate them. Whatever goes wrong, the directory is gone again.
 *
 * @example
 * ```ts
 * const { version, manifest } = await stageBundle({
 *   tarball: "/tmp/edge-bundle-linux-amd64-v1.2.3.tar.gz",
 *   sha256,
 *   roots: CANONICAL_ROOTS,
 *   dir: "/var/lib/ongrid-edge/.upgrade/incoming.partial",
 * });
 * ```
 *
 * @throws {InvalidBundleError} The bundle is refused; the message begins as existing agents' do:
 * `sha256 mismatch`, `bundle too large`, `extract: …`, `manifest: …`.
 * @throws {OngridError} The disk or the directory is at fault.
 * @throws The signal's reason.
 */
export async function stageBundle(options: StageOptions): Promise<StagedBundle> {
  const sha256 = checkedSha256(options.sha256);
  using file = openTarball(options);
  const total = file.statSync().size;
  if (options.verifiedSha256 === undefined) {
    checkSame(await hashFrom(file, total, options), sha256);
    file.seekSync(0, Deno.SeekMode.Start);
  } else {
    checkSame(checkedSha256(options.verifiedSha256), sha256);
  }
  makeDirectory(options.dir);
  try {
    const unpacked = await unpackFrom(file, { ...options, sha256 }, total);
    const checked = checkUnpacked(unpacked, options);
    await removeUnnamed(unpacked, checked, options);
    await makeDurable(unpacked, checked, options);
    return { ...checked, bytes: total, manifestFiles: checked.manifest.entries.length };
  } catch (cause) {
    throw removed(options, cause);
  }
}

/** Removes what there is of the directory and returns the error to throw. */
function removed({ dir, signal }: StageOptions, cause: unknown): unknown {
  try {
    removeTreeDurable(dir);
  } catch (e) {
    return new OngridError(`${dir} is left behind (${describeError(e).message})`, { cause });
  }
  const named = cause instanceof OngridError || signal?.aborted === true;
  return named ? cause : new OngridError(`Cannot stage the bundle in ${dir}`, { cause });
}

function checkedSha256(text: string): string {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase();
  throw new InvalidBundleError(`sha256 must be 64 hex chars (got ${quote(text)})`);
}

function checkSame(got: string, want: string): void {
  if (got === want) return;
  throw new InvalidBundleError(`sha256 mismatch (got ${got}, want ${want})`, {
    hint: "The download is damaged or not the bundle that was meant: fetch it again.",
  });
}

function openTarball({ tarball, maxBytes = MAX_BUNDLE_BYTES }: StageOptions): Deno.FsFile {
  try {
    // Before it is opened: opening a FIFO would wait for a writer.
    const { size, isFile } = Deno.statSync(tarball);
    if (!isFile) throw new OngridError("it is not a regular file");
    if (size <= maxBytes) return Deno.openSync(tarball, { read: true });
    throw new InvalidBundleError(`bundle too large (${size} bytes, at most ${maxBytes})`);
  } catch (cause) {
    if (cause instanceof InvalidBundleError) throw cause;
    throw new OngridError(`Cannot open the bundle ${tarball}`, { cause });
  }
}

async function hashFrom(
  file: Deno.FsFile,
  total: number,
  { tarball, signal, onProgress }: StageOptions,
): Promise<string> {
  const hash = createHash("sha256");
  let done = 0;
  const onChunk = (chunk: Uint8Array) => {
    hash.update(chunk);
    done += chunk.length;
    onProgress?.({ phase: "verify", done, total });
  };
  for await (const _ of readChunks(file, { path: tarball, signal, onChunk }));
  return hash.digest("hex");
}

function makeDirectory(dir: string): void {
  try {
    Deno.mkdirSync(dir, { mode: 0o755 });
  } catch (cause) {
    throw new OngridError(`Cannot make the directory ${dir}`, { cause });
  }
}

/** Hashes again what it unpacks, so that these bytes are the ones that were verified. */
async function unpackFrom(
  file: Deno.FsFile,
  options: StageOptions,
  total: number,
): Promise<Unpacked> {
  const { tarball, sha256, dir, signal, onProgress } = options;
  const hash = createHash("sha256");
  let done = 0;
  const onChunk = (chunk: Uint8Array) => {
    hash.update(chunk);
    done += chunk.length;
    onProgress?.({ phase: "unpack", done, total });
  };
  const unpacked = await unpack({
    archive: gunzip(file, { path: tarball, signal, onChunk }),
    dir,
    limits: {
      maxEntries: MAX_BUNDLE_ENTRIES,
      maxBytes: options.maxUnpackedBytes ?? MAX_BUNDLE_BYTES,
    },
    keep: new Map([[MANIFEST_NAME, MAX_MANIFEST_BYTES], [VERSION_NAME, MAX_VERSION_FILE_BYTES]]),
    signal,
  });
  checkSame(hash.digest("hex"), sha256);
  return unpacked;
}

/** Existing bundles may carry more than their manifest names; none of it may stay. */
async function removeUnnamed(
  { tree }: Unpacked,
  { manifest }: CheckedBundle,
  { dir, onWarning }: StageOptions,
): Promise<void> {
  const named = new Set([...RESERVED_NAMES, ...manifest.entries.map(({ src }) => src)]);
  const needed = new Set([...named].flatMap(parents));
  for (const path of [...tree.files.keys()]) {
    if (named.has(path)) continue;
    await Deno.remove(`${dir}/${path}`);
    tree.removeFile(path);
    onWarning?.(`removed ${quote(path)} from the bundle: its manifest does not name it`);
  }
  for (const path of [...tree.directories].reverse()) {
    if (needed.has(path)) continue;
    await Deno.remove(`${dir}/${path}`);
    tree.removeDirectory(path);
  }
}

/** Sets the modes, then flushes files before the directories that name them. */
async function makeDurable(
  { tree }: Unpacked,
  { manifest }: CheckedBundle,
  { dir, signal }: StageOptions,
): Promise<void> {
  const modes = new Map(manifest.entries.map(({ src, mode }) => [src, mode]));
  for (const path of tree.files.keys()) {
    signal?.throwIfAborted();
    // Opened first, since the mode may be one that this account cannot read.
    using file = await Deno.open(`${dir}/${path}`, { read: true });
    await Deno.chmod(`${dir}/${path}`, modes.get(path) ?? 0o644);
    await file.sync();
  }
  for (const path of [...tree.directories].reverse()) {
    await Deno.chmod(`${dir}/${path}`, 0o755);
    syncDirectory(`${dir}/${path}`);
  }
  await Deno.chmod(dir, 0o755);
  syncDirectory(dir);
}
