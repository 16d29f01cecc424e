import { dirname, join } from "@std/path";
import { ForeignFileError, InvalidBundleError, OngridError, systemCode } from "../cli/errors.ts";
import { MAX_MANIFEST_BYTES, parseManifest } from "../bundle/manifest.ts";
import { MANIFEST_NAME, SIGNATURE_NAME, VERSION_NAME } from "../bundle/owned.ts";
import { MAX_VERSION_FILE_BYTES, parseVersionFile } from "../bundle/version.ts";
import { copyVerified } from "../fs/copy.ts";
import { ensureDirectory, removeTreeDurable, renameDurable } from "../fs/durable.ts";
import { readForeign, readForeignText } from "../fs/foreign.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { type HookContext, messageOf } from "./context.ts";
import { ROOT_STATE, STAGE } from "./paths.ts";
import type { StageDir } from "./stage_dir.ts";

/** Largest file of a bundle, in bytes: the cap on a whole unpacked bundle. */
export const MAX_FILE_BYTES = 1024 ** 3;

/**
 * The private place of a bundle that is being applied. A bundle is moved here before anything in it
 * is looked at: from then on its former owner can reach none of its names, only write through
 * descriptors that are still open, which is why files are hashed as they are copied.
 */
export interface Claimed {
  readonly bundle: string;
  /** A bundle that was staged while an older one was still claimed. */
  readonly next: string;
  /** A single file of an older agent. */
  readonly legacy: string;
  /** On its way out; whatever is here is removed by the next run. */
  readonly discarded: string;
}

/** Paths of the claimed bundle. */
export function claimedPaths(context: HookContext): Claimed {
  const root = join(context.paths.rootState, ROOT_STATE.claimed);
  return {
    bundle: join(root, "bundle"),
    next: join(root, "next"),
    legacy: join(root, "legacy"),
    discarded: join(root, "discarded"),
  };
}

/** True where a bundle waits for this start, claimed by a killed run or fresh. */
export function isBundleWaiting(context: HookContext): boolean {
  const { bundle, next } = claimedPaths(context);
  return context.stage?.lstat(STAGE.incoming) !== undefined ||
    lstatOrUndefined(next) !== undefined || lstatOrUndefined(bundle) !== undefined;
}

/** True where a single file of an older agent waits, claimed by a killed run or complete. */
export function isLegacyWaiting(context: HookContext): boolean {
  const { stage } = context;
  return lstatOrUndefined(claimedPaths(context).legacy) !== undefined ||
    [STAGE.legacyPending, STAGE.legacySha256].every((name) => stage?.lstat(name) !== undefined);
}

/**
 * Moves a staged bundle out of its owner's reach.
 *
 * @returns the directory of the claimed bundle, or undefined where there is none.
 * @throws {InvalidBundleError} where what is staged cannot be a bundle; it is out of the way then.
 */
export function claimBundle(context: HookContext): string | undefined {
  const { bundle, next } = claimedPaths(context);
  ensureDirectory(dirname(bundle), { mode: 0o700 });
  if (lstatOrUndefined(next)) dropCopied(context, next);
  else fetchIncoming(context, next);
  if (!lstatOrUndefined(next)) return lstatOrUndefined(bundle) ? bundle : undefined;
  takeOver(context, next);
  if (!lstatOrUndefined(bundle)) {
    renameDurable(next, bundle);
  } else if (isReadable(context, next)) {
    discardBundle(context);
    renameDurable(next, bundle);
  } else {
    removeTreeDurable(next);
  }
  return bundle;
}

/** The version that the claimed bundle calls itself, for records; empty where it cannot be read. */
export function claimedVersion(context: HookContext): string {
  try {
    const path = join(claimedPaths(context).bundle, VERSION_NAME);
    return parseVersionFile(readForeign(path, { maxBytes: MAX_VERSION_FILE_BYTES }) ?? "");
  } catch (error) {
    if (error instanceof OngridError) return "";
    throw error;
  }
}

/** Removes what is claimed; one rename takes it away whole, so no half of it is ever judged. */
export function discardBundle(context: HookContext): void {
  const { bundle, legacy, discarded } = claimedPaths(context);
  for (const path of [bundle, legacy]) {
    if (lstatOrUndefined(discarded)) removeTreeDurable(discarded);
    if (!lstatOrUndefined(path)) continue;
    renameDurable(path, discarded);
    removeTreeDurable(discarded);
  }
}

/** Removes what killed runs left in the private place, except bundles that are still wanted. */
export function sweepClaimed(context: HookContext): void {
  const { discarded } = claimedPaths(context);
  for (const path of [discarded, join(context.paths.rootState, ROOT_STATE.claimedPartial)]) {
    if (lstatOrUndefined(path)) removeTreeDurable(path);
  }
}

function fetchIncoming(context: HookContext, next: string): void {
  const { stage } = context;
  const info = stage?.lstat(STAGE.incoming);
  if (!stage || !info) return;
  if (!info.isDirectory) {
    stage.removeTree(STAGE.incoming);
    throw new InvalidBundleError(`${stage.at(STAGE.incoming)} is not a directory`);
  }
  try {
    renameDurable(stage.at(STAGE.incoming), next);
  } catch (error) {
    if (systemCode(error) !== "EXDEV") throw error;
    copyIncoming(context, stage, next);
    dropIncoming(stage);
  }
}

/** A run that was killed between the copy and the end of the original leaves both. */
function dropCopied({ stage }: HookContext, next: string): void {
  stage?.removeTree(STAGE.partial);
  if (!stage?.lstat(STAGE.incoming)?.isDirectory) return;
  const copied = manifestText(next);
  if (copied !== undefined && copied === manifestText(stage.at(STAGE.incoming))) {
    dropIncoming(stage);
  }
}

function manifestText(directory: string): string | undefined {
  try {
    return readForeignText(join(directory, MANIFEST_NAME), { maxBytes: MAX_MANIFEST_BYTES });
  } catch (error) {
    if (error instanceof ForeignFileError) return undefined;
    throw error;
  }
}

/** In one step: half a bundle of that name would be refused, and reported, as another upgrade. */
function dropIncoming(stage: StageDir): void {
  stage.removeTree(STAGE.partial);
  renameDurable(stage.at(STAGE.incoming), stage.at(STAGE.partial));
  stage.removeTree(STAGE.partial);
}

/** Refuses a tree that the stage directory's owner could not have made, and closes it to everybody. */
function takeOver(context: HookContext, next: string): void {
  const info = Deno.lstatSync(next);
  const owners = [context.stage?.owner, 0, Deno.uid() ?? 0];
  if (!info.isDirectory || !owners.includes(info.uid ?? 0)) {
    removeTreeDurable(next);
    throw new InvalidBundleError("what was staged is not a directory of the agent's user");
  }
  if (context.isRoot) Deno.chownSync(next, 0, 0);
  Deno.chmodSync(next, 0o700);
}

/** Another filesystem: only what the manifest names is copied, then the copy takes the name. */
function copyIncoming(context: HookContext, stage: StageDir, next: string): void {
  const partial = join(context.paths.rootState, ROOT_STATE.claimedPartial);
  const from = (name: string) => join(stage.at(STAGE.incoming), name);
  removeTreeDurable(partial);
  ensureDirectory(partial, { mode: 0o700 });
  const manifest = readForeign(from(MANIFEST_NAME), { maxBytes: MAX_MANIFEST_BYTES });
  if (!manifest) throw new InvalidBundleError(`${MANIFEST_NAME} is missing`);
  const names = parseManifest(manifest, context.paths.roots).entries.map(({ src }) => src);
  for (const name of [MANIFEST_NAME, VERSION_NAME, SIGNATURE_NAME, ...names]) {
    refuseLinksBelow(stage.at(STAGE.incoming), name);
    if (!lstatOrUndefined(from(name))) continue;
    ensureDirectory(dirname(join(partial, name)), { mode: 0o700 });
    const to = join(partial, name);
    copyVerified({ from: from(name), to, mode: 0o600, maxBytes: MAX_FILE_BYTES });
  }
  renameDurable(partial, next);
}

/**
 * Refuses a path whose directories below `root` are links: it would lead out of the bundle.
 *
 * @throws {InvalidBundleError} naming the link.
 */
export function refuseLinksBelow(root: string, name: string): void {
  const segments = name.split("/");
  for (let depth = 1; depth < segments.length; depth++) {
    const directory = join(root, ...segments.slice(0, depth));
    const info = lstatOrUndefined(directory);
    if (info && !info.isDirectory) {
      throw new InvalidBundleError(`${name} goes through ${directory}, which is not a directory`);
    }
  }
}

function isReadable(context: HookContext, directory: string): boolean {
  try {
    const bytes = readForeign(join(directory, MANIFEST_NAME), { maxBytes: MAX_MANIFEST_BYTES });
    parseManifest(bytes ?? "", context.paths.roots);
    return true;
  } catch (error) {
    context.log.warn(`dropped a bundle staged over another one: ${messageOf(error)}`);
    return false;
  }
}
