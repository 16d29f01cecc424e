/**
 * A second opinion on staged bundles: slow, reading everything in full, sharing nothing with the
 * hook. It knows the text of a manifest from the reference of the manifest tests.
 */

import { createHash } from "node:crypto";
import { dirname, join } from "@std/path";
import { type ReferenceEntry, referenceParse } from "../../bundle/manifest_reference.ts";
import type { EdgeHost } from "./edge_host.ts";

/** The names that an upgrade may leave its own files beside. */
const OWNED = [
  "ongrid-edge",
  "promtail",
  "otelcol-contrib",
  "node_exporter",
  "process_exporter",
  "apply-pending-upgrade",
  "apply-pending-upgrade.sh",
  "ongrid-runtime",
];

/** What the host has to hold when the bundle was taken: content and mode by destination. */
export type Expected = Map<string, { sha256: string; mode: number }>;

/** The bundle's files by destination, or `undefined` when the bundle has to be refused. */
export function referenceJudge(host: EdgeHost): Expected | undefined {
  const incoming = join(host.stage, "incoming");
  if (!is(incoming, "directory")) return undefined;
  const manifest = textOf(join(incoming, "MANIFEST.txt"));
  const version = textOf(join(incoming, "VERSION"))?.trim();
  if (manifest === undefined || version === undefined || !isVersion(version)) return undefined;
  if (!declarationsHold(manifest, version)) return undefined;
  const entries = referenceParse(manifest, { bin: host.bin, lib: host.lib });
  if (entries === undefined) return undefined;
  if (!entries.every((entry) => fileIsGood(incoming, entry) && targetIsFree(host, entry))) {
    return undefined;
  }
  return new Map(entries.map(([sha256, mode, , target]) => [target, { sha256, mode }]));
}

function fileIsGood(incoming: string, [sha256, , src]: ReferenceEntry): boolean {
  const path = join(incoming, src);
  for (let above = dirname(path); above !== incoming; above = dirname(above)) {
    if (!is(above, "directory")) return false;
  }
  if (!is(path, "file")) return false;
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex") === sha256;
}

function targetIsFree(host: EdgeHost, [, , , target]: ReferenceEntry): boolean {
  for (let above = dirname(target); ![host.bin, host.lib].includes(above); above = dirname(above)) {
    if (!is(above, "directory") && !is(above, "absent")) return false;
  }
  if (!is(target, "file") && !is(target, "absent")) return false;
  const isOwned = OWNED.some((name) =>
    target === join(name === "ongrid-edge" ? host.bin : host.lib, name)
  );
  return ["new", "previous"].every((suffix) => {
    const beside = `${target}.${suffix}`;
    return is(beside, "absent") || (isOwned && is(beside, "file"));
  });
}

function declarationsHold(manifest: string, version: string): boolean {
  const declared = new Map<string, string>();
  for (const line of manifest.split("\n")) {
    const words = line.split(" ").flatMap((part) => part.split("\t")).filter((word) => word !== "");
    const [sign, key = "", value = ""] = words;
    if (sign !== "#" || (key !== "version:" && key !== "arch:")) continue;
    if (declared.has(key) || words.length !== 3) return false;
    declared.set(key, value);
  }
  const ofHost = `linux-${Deno.build.arch === "aarch64" ? "arm64" : "amd64"}`;
  return (declared.get("version:") ?? version) === version &&
    (declared.get("arch:") ?? ofHost) === ofHost;
}

function isVersion(text: string): boolean {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const digits = "0123456789";
  const [first = ""] = text;
  return text.length <= 64 && (letters + digits).includes(first) && first !== "" &&
    [...text].every((c) => (letters + digits + "._+-").includes(c)) &&
    [...text].some((c) => digits.includes(c)) && !text.includes("..");
}

/** The text of a regular file; undefined for anything else. */
function textOf(path: string): string | undefined {
  return is(path, "file") ? Deno.readTextFileSync(path) : undefined;
}

function is(path: string, kind: "file" | "directory" | "absent"): boolean {
  try {
    const info = Deno.lstatSync(path);
    return kind === "file" ? info.isFile : kind === "directory" && info.isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return kind === "absent";
    // Below something that is no directory there is nothing.
    if (error instanceof Deno.errors.NotADirectory) return kind === "absent";
    throw error;
  }
}
