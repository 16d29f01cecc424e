/** What a killed agent left behind. */

import { join } from "@std/path";
import { removeTreeDurable } from "../../fs/durable.ts";
import { lstatOrUndefined } from "../../fs/lstat.ts";
import { STAGE } from "../paths.ts";
import { OWN, type StageStore } from "./store.ts";

/** A part of a download older than this is not worth resuming, in milliseconds: one day. */
const RESUMABLE_MS = 24 * 60 * 60 * 1000;

/** Temporary files of durable writes, and parts of downloads. */
const TEMPORARY = /^\..*\.tmp$/;
const PART = /^[0-9a-f]{64}\.part$/;

/** Names looked at in a directory; what lies beyond stays until the next start. */
const MAX_NAMES = 10_000;

/**
 * Brings the state directory in order before anything is staged: half-unpacked and discarded trees,
 * records without their tree, and what nobody can resume are removed. The newest part of a download
 * of the last day stays. A directory that is not there is in order.
 *
 * @returns the names that were removed.
 */
export function cleanUp(store: StageStore, now: Date): string[] {
  const removed: string[] = [];
  const remove = (name: string) => {
    removeTreeDurable(store.at(name));
    removed.push(name);
  };
  for (const name of list(store.path)) {
    if (name === STAGE.partial || name === OWN.discarded || TEMPORARY.test(name)) remove(name);
  }
  const there = (name: string) => lstatOrUndefined(store.at(name));
  if (there(STAGE.staged) && !store.staged()) remove(STAGE.staged);
  if (there(OWN.stagedRecord) && !store.staged()) remove(OWN.stagedRecord);
  if (there(STAGE.ready) && !there(STAGE.incoming)) remove(STAGE.ready);
  const download = there(STAGE.download);
  if (download?.isDirectory) removed.push(...cleanDownloads(store, now));
  // What a link leads to is not this agent's to clean up.
  else if (download) remove(STAGE.download);
  return removed;
}

function cleanDownloads(store: StageStore, now: Date): string[] {
  const directory = store.at(STAGE.download);
  const removed: string[] = [];
  const remove = (name: string) => {
    removeTreeDurable(join(directory, name));
    removed.push(`${STAGE.download}/${name}`);
  };
  const parts: { name: string; time: number }[] = [];
  for (const name of list(directory)) {
    const info = lstatOrUndefined(join(directory, name));
    const time = info?.mtime?.getTime() ?? 0;
    const resumable = PART.test(name) && info?.isFile && info.size > 0 &&
      now.getTime() - time < RESUMABLE_MS;
    if (resumable) parts.push({ name, time });
    else remove(name);
  }
  parts.sort((a, b) => b.time - a.time);
  for (const { name } of parts.slice(1)) remove(name);
  return removed;
}

function list(directory: string): string[] {
  const names: string[] = [];
  try {
    for (const entry of Deno.readDirSync(directory)) {
      names.push(entry.name);
      if (names.length >= MAX_NAMES) break;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names;
}
