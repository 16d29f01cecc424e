/**
 * `MANIFEST.txt`: which file of an edge bundle goes where, with which mode and hash.
 *
 * One line a file, `<sha256> <mode> <src> <dest>`, separated by spaces or tabs; blank lines and `#`
 * comments are skipped, except that `# version:`, `# arch:` and `# probe:` comments say more to
 * readers that know them. Validation is bundle-wide: one bad line and nothing of the bundle is used.
 */

import { InvalidBundleError } from "../cli/errors.ts";
import { type ManagedRoots, MANIFEST_NAME } from "./owned.ts";
import { checkedRoots, destProblem, nestedPath, srcProblem, targetOf } from "./paths.ts";
import { decodeText, quote } from "./text.ts";
import { isPlainVersion, sameVersion } from "./version.ts";

export { CANONICAL_ROOTS, type ManagedRoots } from "./owned.ts";

/** Bytes of a manifest: {@link MAX_MANIFEST_ENTRIES} lines of 400 bytes. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** Files a manifest may name; a real bundle has about ten. */
export const MAX_MANIFEST_ENTRIES = 10_000;

/** Lines of a manifest, comments and blank ones included. */
export const MAX_MANIFEST_LINES = 2 * MAX_MANIFEST_ENTRIES;

/** Characters of one line: two of the longest paths, hash and mode fit twice. */
export const MAX_MANIFEST_LINE_CHARS = 4096;

/** Probes of a manifest; each may run for seconds while a bundle is staged. */
export const MAX_PROBES = 32;

/** One file of the bundle. */
export interface ManifestEntry {
  /** Lower-case hex SHA-256 of the file. */
  readonly sha256: string;
  /** Permission bits, at most `0o777`. */
  readonly mode: number;
  /** Path in the bundle. */
  readonly src: string;
  /** Destination as the manifest has it. */
  readonly dest: string;
  /** Destination on this host. */
  readonly target: string;
}

/** A program of the bundle that can say whether it runs on this host. */
export interface ManifestProbe {
  /** The `src` of the program. */
  readonly src: string;
  readonly args: readonly string[];
}

/** A parsed and valid manifest. */
export interface Manifest {
  readonly entries: readonly ManifestEntry[];
  /** From `# version:`; absent in manifests of older tooling. */
  readonly version?: string;
  /** From `# arch:`; absent in manifests of older tooling. */
  readonly arch?: string;
  readonly probes: readonly ManifestProbe[];
}

/** A line being read, and how to refuse it. */
interface Line {
  readonly number: number;
  readonly text: string;
}

interface Draft {
  readonly roots: ManagedRoots;
  readonly entries: ManifestEntry[];
  readonly srcs: Set<string>;
  readonly targets: Set<string>;
  readonly declared: { version?: string; arch?: string };
  readonly probes: { probe: ManifestProbe; line: Line }[];
}

/**
 * Parses a manifest and checks everything that its text can show.
 *
 * @param input The file's content, read once: what is checked must be what is used.
 * @param roots Where this host keeps the managed files.
 * @throws {InvalidBundleError} Any line or the manifest as a whole is refused; the message is
 * `MANIFEST.txt line N: <what> (<value>)`.
 */
export function parseManifest(input: Uint8Array | string, roots: ManagedRoots): Manifest {
  const text = decodeText(input, { name: MANIFEST_NAME, maxBytes: MAX_MANIFEST_BYTES });
  const draft: Draft = {
    roots: checkedRoots(roots),
    entries: [],
    srcs: new Set(),
    targets: new Set(),
    declared: {},
    probes: [],
  };
  const lines = text.split("\n", MAX_MANIFEST_LINES + 1);
  if (lines.length > MAX_MANIFEST_LINES) {
    throw new InvalidBundleError(`${MANIFEST_NAME} has more than ${MAX_MANIFEST_LINES} lines`);
  }
  lines.forEach((text, index) => readLine({ number: index + 1, text }, draft));
  checkWhole(draft);
  return {
    entries: draft.entries,
    ...draft.declared,
    probes: draft.probes.map(({ probe }) => probe),
  };
}

function readLine(line: Line, draft: Draft): void {
  if (line.text.length > MAX_MANIFEST_LINE_CHARS) {
    throw refused(line, `longer than ${MAX_MANIFEST_LINE_CHARS} characters`, line.text);
  }
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x08\x0a-\x1f\x7f-\x9f]/.test(line.text)) {
    throw refused(line, "control character in the line", line.text);
  }
  const text = line.text.replace(/^[ \t]+|[ \t]+$/g, "");
  if (text === "") return;
  if (text.startsWith("#")) readComment({ ...line, text }, draft);
  else readEntry({ ...line, text }, draft);
}

function readEntry(line: Line, draft: Draft): void {
  const fields = line.text.split(/[ \t]+/);
  const [sha256, mode, src, dest] = fields;
  if (
    fields.length !== 4 || sha256 === undefined || mode === undefined || src === undefined ||
    dest === undefined
  ) {
    throw refused(line, `malformed manifest line, ${fields.length} fields instead of 4`, line.text);
  }
  if (!/^[0-9a-fA-F]{64}$/.test(sha256)) throw refused(line, "sha256 is not 64 hex digits", sha256);
  if (!/^0?[0-7]{3}$/.test(mode)) throw refused(line, "mode is not three octal digits", mode);
  const path = src.replace(/^\.\//, "");
  const bad = srcProblem(path);
  if (bad !== undefined) throw refused(line, bad, src);
  if (draft.srcs.has(path)) throw refused(line, "src is named twice", src);
  const target = checkedTarget(line, dest, draft);
  if (draft.entries.length >= MAX_MANIFEST_ENTRIES) {
    throw refused(line, `more than ${MAX_MANIFEST_ENTRIES} files`, src);
  }
  draft.srcs.add(path);
  draft.targets.add(target);
  draft.entries.push({
    sha256: sha256.toLowerCase(),
    mode: parseInt(mode, 8),
    src: path,
    dest,
    target,
  });
}

function checkedTarget(line: Line, dest: string, { roots, targets }: Draft): string {
  const bad = destProblem(dest);
  if (bad !== undefined) throw refused(line, bad, dest);
  const target = targetOf(dest, roots);
  if (target === undefined) throw refused(line, "dest is outside the managed directories", dest);
  if (targets.has(target)) throw refused(line, "dest is named twice", dest);
  return target;
}

function readComment(line: Line, draft: Draft): void {
  const found = /^#[ \t]*(version|arch|probe):[ \t]*(.*)$/.exec(line.text);
  if (found === null) return;
  const [, name, value = ""] = found;
  if (name === "probe") return readProbe(line, value, draft);
  const key = name === "version" ? "version" : "arch";
  const valid = key === "version"
    ? isPlainVersion(value)
    : /^[a-z0-9][a-z0-9_-]{0,31}$/.test(value);
  if (!valid) throw refused(line, `declared ${key} is not a plain ${key} string`, value);
  if (draft.declared[key] !== undefined) throw refused(line, `${key} is declared twice`, value);
  draft.declared[key] = value;
}

function readProbe(line: Line, value: string, draft: Draft): void {
  const [src = "", ...args] = value.split(/[ \t]+/);
  if (draft.probes.length >= MAX_PROBES) throw refused(line, `more than ${MAX_PROBES} probes`, src);
  draft.probes.push({ probe: { src, args }, line });
}

function checkWhole({ entries, srcs, targets, probes }: Draft): void {
  if (entries.length === 0) throw new InvalidBundleError("manifest declared zero files");
  for (const { probe, line } of probes) {
    if (!srcs.has(probe.src)) {
      throw refused(line, "probe of a file that the manifest does not name", probe.src);
    }
  }
  for (const [what, paths] of [["src", srcs], ["dest", targets]] as const) {
    const nested = nestedPath(paths);
    if (nested !== undefined) {
      throw new InvalidBundleError(
        `${MANIFEST_NAME}: ${what} lies inside another ${what} (${quote(nested)})`,
      );
    }
  }
}

function refused(line: Line, what: string, value: string): InvalidBundleError {
  return new InvalidBundleError(`${MANIFEST_NAME} line ${line.number}: ${what} (${quote(value)})`);
}

/**
 * Compares what a manifest declares of itself with what it is taken for. What it does not declare,
 * as manifests of older tooling, or what is not asked is not compared.
 *
 * @throws {InvalidBundleError} A declared version or architecture differs.
 */
export function checkDeclared(
  manifest: Manifest,
  expected: { version?: string | undefined; arch?: string | undefined },
): void {
  const { version, arch } = manifest;
  if (
    version !== undefined && expected.version !== undefined &&
    !sameVersion(version, expected.version)
  ) {
    throw new InvalidBundleError(
      `${MANIFEST_NAME} declares version ${quote(version)}, expected ${quote(expected.version)}`,
    );
  }
  if (arch !== undefined && expected.arch !== undefined && arch !== expected.arch) {
    throw new InvalidBundleError(
      `${MANIFEST_NAME} declares arch ${quote(arch)}, expected ${quote(expected.arch)}`,
    );
  }
}

/** What {@link formatManifest} writes. */
export interface ManifestText {
  readonly version: string;
  readonly arch: string;
  readonly entries: readonly Omit<ManifestEntry, "target">[];
  readonly probes: readonly ManifestProbe[];
}

/**
 * The text of a manifest: the declarations as comments, which older readers skip, then the files
 * sorted by `src`, so that the same files give the same bytes. Checks nothing: the builder parses
 * what it wrote.
 */
export function formatManifest({ version, arch, entries, probes }: ManifestText): string {
  const sorted = [...entries].sort((a, b) => (a.src < b.src ? -1 : a.src > b.src ? 1 : 0));
  return [
    "# ongrid edge bundle, one file a line: sha256 mode src dest",
    `# version: ${version}`,
    `# arch: ${arch}`,
    ...probes.map(({ src, args }) => ["# probe:", src, ...args].join(" ")),
    ...sorted.map((e) => `${e.sha256} ${formatMode(e.mode)} ${e.src} ${e.dest}`),
    "",
  ].join("\n");
}

function formatMode(mode: number): string {
  return "0" + mode.toString(8).padStart(3, "0");
}
