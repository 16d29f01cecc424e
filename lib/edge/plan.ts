import { crypto } from "@std/crypto";
import { dirname, join, relative } from "@std/path";
import { InvalidBundleError } from "../cli/errors.ts";
import { checkDeclared, MAX_MANIFEST_BYTES, parseManifest } from "../bundle/manifest.ts";
import { type ManagedRoots, MANIFEST_NAME, VERSION_NAME } from "../bundle/owned.ts";
import type { PublicKey } from "../bundle/signature.ts";
import { MAX_VERSION_FILE_BYTES, parseVersionFile } from "../bundle/version.ts";
import { readForeign } from "../fs/foreign.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { refuseLinksBelow } from "./claim.ts";
import { type HookContext } from "./context.ts";
import { agentLast, ownedTargets } from "./paths.ts";
import { checkBundleSignature, pinnedKey } from "./pinned_key.ts";
import type { FileChange } from "./records.ts";
import { hashOf, newOf, previousOf } from "./swap.ts";

/** A file that will be replaced, and where its new content comes from. */
export interface PlannedFile extends FileChange {
  readonly source: string;
  readonly mode: number;
}

/** What an upgrade will change on this host. */
export interface Plan {
  /** Empty for a single file without a version. */
  readonly version: string;
  /** SHA-256 of the manifest or of the single file. */
  readonly bundle: string;
  readonly armed: boolean;
  /** Only files that differ from what is installed; the agent last. */
  readonly files: readonly PlannedFile[];
}

/**
 * Reads and validates a claimed bundle. Manifest and VERSION are read once, and those bytes are
 * what is judged. Files that are installed already, content and mode alike, are left out: they need
 * no swap and no way back.
 *
 * @param prepared destinations whose `.new` a killed run of this upgrade may have left.
 * @throws {InvalidBundleError} for the first thing that is wrong; nothing has been touched.
 */
export function planBundle(
  context: HookContext,
  bundle: string,
  prepared: readonly string[],
): Plan {
  const manifestBytes = required(bundle, MANIFEST_NAME, MAX_MANIFEST_BYTES);
  checkBundleSignature(bundle, manifestBytes, hostKey(context));
  const version = parseVersionFile(required(bundle, VERSION_NAME, MAX_VERSION_FILE_BYTES));
  const manifest = parseManifest(manifestBytes, context.paths.roots);
  checkDeclared(manifest, { version, arch: hostArch() });
  const files = manifest.entries.map(({ src, sha256, mode, target }): PlannedFile => {
    const source = join(bundle, src);
    refuseLinksBelow(bundle, src);
    if (!lstatOrUndefined(source)?.isFile) {
      throw new InvalidBundleError(`${src} is missing or not a regular file`);
    }
    checkTarget(context.paths.roots, target, prepared);
    return { dest: target, source, mode, new_sha256: sha256, old_sha256: hashOf(target) ?? null };
  });
  return {
    version,
    bundle: sha256Hex(manifestBytes),
    armed: true,
    files: files.filter((file) => !isInstalled(file)).sort(agentLast(context.paths)),
  };
}

/**
 * Refuses a destination that is not a regular file, lies behind a link, or has something foreign
 * under the names that the swap uses beside it.
 *
 * @throws {InvalidBundleError} naming the path.
 */
export function checkTarget(
  roots: ManagedRoots,
  target: string,
  prepared: readonly string[] = [],
): void {
  for (const root of [roots.bin, roots.lib]) {
    if (target.startsWith(`${root}/`)) refuseLinksBelow(root, relative(root, target));
  }
  const info = lstatOrUndefined(target);
  if (info && !info.isFile) {
    throw new InvalidBundleError(`the destination ${target} is not a regular file`);
  }
  const isOwned = prepared.includes(target) ||
    ownedTargets(roots).some((owned) => owned.target === target);
  for (const path of [newOf(target), previousOf(target)]) {
    const beside = lstatOrUndefined(path);
    if (beside && (!isOwned || !beside.isFile)) {
      throw new InvalidBundleError(`${path} is in the way and not this upgrade's`);
    }
  }
}

/** The key pinned on this host; in a test root of an ordinary user nobody is root. */
export function hostKey({ paths, isRoot }: HookContext): PublicKey | undefined {
  return pinnedKey(paths.publicKey, isRoot ? 0 : undefined);
}

/** The bundle architecture that this host takes, such as `linux-amd64`. */
export function hostArch(): string {
  return `${Deno.build.os}-${Deno.build.arch === "aarch64" ? "arm64" : "amd64"}`;
}

function isInstalled({ dest, mode, old_sha256, new_sha256 }: PlannedFile): boolean {
  return old_sha256 === new_sha256 && ((Deno.lstatSync(dest).mode ?? 0) & 0o7777) === mode;
}

function required(bundle: string, name: string, maxBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = readForeign(join(bundle, name), { maxBytes });
  if (!bytes) throw new InvalidBundleError(`${name} is missing`);
  return bytes;
}

/** The directories that the plan's destinations need, existing or not. */
export function planDirectories(plan: Plan): string[] {
  return [...new Set(plan.files.map(({ dest }) => dirname(dest)))];
}

/** SHA-256 in lower-case hex. */
export function sha256Hex(bytes: Uint8Array<ArrayBuffer>): string {
  const digest = new Uint8Array(crypto.subtle.digestSync("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
