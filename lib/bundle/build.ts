/**
 * Building an edge bundle, reproducibly: the same files, version and time give the same bytes.
 */

import { createHash } from "node:crypto";
import { InvalidBundleError, OngridError } from "../cli/errors.ts";
import { removeDurable, renameDurable } from "../fs/durable.ts";
import { readChunks } from "./gunzip.ts";
import { MAX_BUNDLE_BYTES, MAX_BUNDLE_ENTRIES } from "./limits.ts";
import { formatManifest, type ManifestProbe, parseManifest } from "./manifest.ts";
import { CANONICAL_ROOTS, MANIFEST_NAME, SIGNATURE_NAME, VERSION_NAME } from "./owned.ts";
import { pack, type PackedFile } from "./pack.ts";
import { bundleFileName, type EdgeArch, sidecarPath, writeSidecar } from "./sidecar.ts";
import { quote } from "./text.ts";
import { isPlainVersion } from "./version.ts";

/** Bytes of a name in a bundle, whose root is flat: what a tar header holds without extension. */
export const MAX_NAME_BYTES = 99;

/** A file that goes into a bundle. */
export interface BundleFile {
  /** Where it is on this machine. */
  readonly path: string;
  /** Its name in the bundle, without slashes. */
  readonly name: string;
  /** Permission bits at its destination, at most `0o777`. */
  readonly mode: number;
  /** Its destination on an edge, below one of {@link CANONICAL_ROOTS}. */
  readonly dest: string;
}

/** What {@link buildBundle} builds. */
export interface BuildOptions {
  readonly arch: EdgeArch;
  /** What the agent in the bundle prints for `--version`: another one is always rolled back. */
  readonly version: string;
  readonly files: readonly BundleFile[];
  /** Programs of the bundle that are run before it is applied, in this order. */
  readonly probes: readonly ManifestProbe[];
  /** Existing directory for the bundle and its sidecar. */
  readonly outDir: string;
  /** The time of all files in the bundle, in seconds since 1970 (`SOURCE_DATE_EPOCH`). */
  readonly sourceDateEpoch: number;
  /** 1 (fast) to 9 (small), default 6. */
  readonly gzipLevel?: number | undefined;
  /** Makes the signature of the manifest, which goes into the bundle beside it. */
  readonly sign?: ((manifest: Uint8Array) => Promise<Uint8Array>) | undefined;
}

/** A bundle in its place. */
export interface BuiltBundle {
  readonly path: string;
  /** The file with the bundle's hash. */
  readonly sidecar: string;
  /** Lower-case hex SHA-256 of the bundle. */
  readonly sha256: string;
  /** Bytes of the bundle. */
  readonly bytes: number;
  /** Lower-case hex SHA-256 of its manifest. */
  readonly manifestSha256: string;
}

/** A file as it was when its hash was taken. */
interface Digest {
  readonly file: BundleFile;
  readonly size: number;
  readonly sha256: string;
}

/**
 * Writes `edge-bundle-<arch>-<version>.tar.gz` and its sidecar: manifest first, then `VERSION`,
 * then the files sorted by name. A bundle of that name is replaced; its sidecar goes before it and
 * comes after it, so that a hash never stands beside bytes of another bundle.
 *
 * @throws {InvalidBundleError} The manifest would be refused (a configuration file, a destination
 * outside the managed directories, a name twice, …) or the bundle is too large.
 * @throws {OngridError} A file cannot be read, changes meanwhile, or the bundle cannot be written.
 */
export async function buildBundle(options: BuildOptions): Promise<BuiltBundle> {
  const { arch, version, outDir } = options;
  checkOptions(options);
  const digests = await digestAll(options.files);
  const manifest = makeManifest(options, digests);
  const files = [
    inMemory(MANIFEST_NAME, manifest),
    inMemory(VERSION_NAME, new TextEncoder().encode(`${version}\n`)),
  ];
  if (options.sign !== undefined) {
    files.push(inMemory(SIGNATURE_NAME, await options.sign(manifest)));
  }
  const opened = new Set<Deno.FsFile>();
  files.push(...digests.map((digest) => onDisk(digest, opened)));
  const path = `${outDir}/${bundleFileName({ arch, version })}`;
  const written = await writeBundle(path, files, opened, options);
  return {
    path,
    sidecar: sidecarPath(path),
    ...written,
    manifestSha256: createHash("sha256").update(manifest).digest("hex"),
  };
}

function checkOptions({ version, files, sourceDateEpoch, gzipLevel = 6 }: BuildOptions): void {
  if (!isPlainVersion(version)) {
    throw new InvalidBundleError(`version is not a plain version string (${quote(version)})`);
  }
  if (files.length > MAX_BUNDLE_ENTRIES - 3) {
    throw new InvalidBundleError(`bundle too large (${files.length} files)`);
  }
  for (const { name } of files) {
    if (name.includes("/") || new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
      throw new InvalidBundleError(
        `name in the bundle has a slash or more than ${MAX_NAME_BYTES} bytes (${quote(name)})`,
      );
    }
  }
  if (!Number.isSafeInteger(sourceDateEpoch) || sourceDateEpoch < 0) {
    throw new OngridError(`SOURCE_DATE_EPOCH is not a number of seconds (${sourceDateEpoch})`);
  }
  if (!Number.isInteger(gzipLevel) || gzipLevel < 1 || gzipLevel > 9) {
    throw new OngridError(`The gzip level is not 1 to 9 (${gzipLevel})`);
  }
}

async function digestAll(files: readonly BundleFile[]): Promise<Digest[]> {
  const digests: Digest[] = [];
  let total = 0;
  // By code units, not by locale, which differs from machine to machine.
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const file of sorted) {
    const digest = await digestOf(file);
    total += digest.size;
    if (total > MAX_BUNDLE_BYTES) {
      throw new InvalidBundleError(`bundle too large (more than ${MAX_BUNDLE_BYTES} bytes)`);
    }
    digests.push(digest);
  }
  return digests;
}

async function digestOf(file: BundleFile): Promise<Digest> {
  try {
    if (!Deno.statSync(file.path).isFile) throw new OngridError("it is not a regular file");
    using open = await Deno.open(file.path, { read: true });
    const hash = createHash("sha256");
    let size = 0;
    for await (
      const chunk of readChunks(open, {
        path: file.path,
        onChunk: (chunk) => hash.update(chunk),
      })
    ) {
      size += chunk.length;
    }
    return { file, size, sha256: hash.digest("hex") };
  } catch (cause) {
    throw new OngridError(`Cannot read ${file.path} for the bundle`, { cause });
  }
}

/** The manifest, parsed again as every reader will parse it. */
function makeManifest(
  { arch, version, probes }: BuildOptions,
  digests: readonly Digest[],
): Uint8Array<ArrayBuffer> {
  const entries = digests.map(({ file: { name, mode, dest }, sha256 }) => ({
    sha256,
    mode,
    src: name,
    dest,
  }));
  const bytes = new TextEncoder().encode(formatManifest({ arch, version, entries, probes }));
  const parsed = parseManifest(bytes, CANONICAL_ROOTS);
  if (JSON.stringify(parsed.probes) !== JSON.stringify(probes)) {
    throw new InvalidBundleError("a probe's arguments are empty or contain white space");
  }
  return bytes;
}

function inMemory(name: string, bytes: Uint8Array): PackedFile {
  return {
    name,
    mode: 0o644,
    size: bytes.length,
    open: async function* () {
      yield bytes;
    },
  };
}

/** @param opened Where the file is noted while it is open, for whoever gives up in the middle. */
function onDisk({ file, size, sha256 }: Digest, opened: Set<Deno.FsFile>): PackedFile {
  const open = async function* () {
    const content = await Deno.open(file.path, { read: true });
    opened.add(content);
    const hash = createHash("sha256");
    yield* readChunks(content, { path: file.path, onChunk: (chunk) => hash.update(chunk) });
    if (hash.digest("hex") !== sha256) throw new OngridError(`${file.path} changed meanwhile`);
    opened.delete(content);
    content.close();
  };
  return { name: file.name, mode: file.mode, size, open };
}

async function writeBundle(
  path: string,
  files: readonly PackedFile[],
  opened: ReadonlySet<Deno.FsFile>,
  { sourceDateEpoch, gzipLevel = 6, outDir }: BuildOptions,
): Promise<{ bytes: number; sha256: string }> {
  const temporary = `${outDir}/.${crypto.randomUUID()}.bundle.tmp`;
  try {
    using output = Deno.openSync(temporary, { write: true, createNew: true });
    const packed = await pack({
      files,
      mtime: sourceDateEpoch,
      gzipLevel,
      output,
      maxBytes: MAX_BUNDLE_BYTES,
    });
    Deno.chmodSync(temporary, 0o644);
    await output.sync();
    removeDurable(sidecarPath(path));
    renameDurable(temporary, path);
    writeSidecar(path, packed.sha256);
    return packed;
  } catch (cause) {
    removeDurable(temporary);
    throw new OngridError(`Cannot build ${path}`, { cause });
  } finally {
    for (const file of opened) file.close();
  }
}
