/**
 * A second opinion on manifests for the generated tests: slow, character by character, without
 * regular expressions, sharing nothing with the parser under test.
 */

import type { ManagedRoots } from "../../lib/bundle/manifest.ts";

/** What the reference makes of a line: hash, mode, src and the path on this host. */
export type ReferenceEntry = [sha256: string, mode: number, src: string, target: string];

/** The entries of a manifest, or `undefined` when it has to be refused. */
export function referenceParse(text: string, roots: ManagedRoots): ReferenceEntry[] | undefined {
  const entries: ReferenceEntry[] = [];
  const probed: string[] = [];
  for (const line of text.split("\n")) {
    if ([...line].some((c) => isControl(c) && c !== "\t")) return undefined;
    const words = line.split(" ").flatMap((part) => part.split("\t")).filter((word) => word !== "");
    const [first = ""] = words;
    if (words.length === 0) continue;
    if (first.startsWith("#")) {
      if (first === "#" && words[1] === "probe:") probed.push(words[2] ?? "");
      continue;
    }
    const entry = referenceEntry(words, roots);
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  const srcs = entries.map(([, , src]) => src);
  const targets = entries.map(([, , , target]) => target);
  const sound = entries.length > 0 && !anyClash(srcs) && !anyClash(targets) &&
    probed.every((src) => srcs.includes(src));
  return sound ? entries : undefined;
}

function referenceEntry(words: string[], roots: ManagedRoots): ReferenceEntry | undefined {
  const [sha = "", mode = "", rawSrc = "", dest = ""] = words;
  if (words.length !== 4) return undefined;
  if (sha.length !== 64 || !all(sha.toLowerCase(), "0123456789abcdef")) return undefined;
  const digits = mode.length === 4 && mode[0] === "0" ? mode.slice(1) : mode;
  if (digits.length !== 3 || !all(digits, "01234567")) return undefined;
  const src = rawSrc.startsWith("./") ? rawSrc.slice(2) : rawSrc;
  const reserved = ["MANIFEST.txt", "VERSION", "MANIFEST.txt.minisig"];
  const [top = ""] = src.split("/");
  if (!soundSegments(src) || src.includes("..") || reserved.includes(top)) return undefined;
  if (!dest.startsWith("/") || !soundSegments(dest.slice(1))) return undefined;
  if (isConfig(src) || isConfig(dest)) return undefined;
  const target = referenceTarget(dest, roots);
  return target === undefined ? undefined : [sha.toLowerCase(), parseInt(digits, 8), src, target];
}

function referenceTarget(dest: string, roots: ManagedRoots): string | undefined {
  const parts = dest.split("/");
  if (parts.some((part) => part.endsWith(".new") || part.endsWith(".previous"))) return undefined;
  if (parts[1] === "etc") return undefined;
  for (
    const [from, to] of [["/usr/local/bin", roots.bin], ["/usr/local/lib/ongrid-edge", roots.lib]]
  ) {
    if (from !== undefined && dest.startsWith(from + "/")) return to + dest.slice(from.length);
  }
  const own = [roots.bin, roots.lib].some((root) => dest.startsWith(root + "/"));
  return own ? dest : undefined;
}

function soundSegments(path: string): boolean {
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..") &&
    path.length <= 1024 && path.split("/").every((part) => part.length <= 200);
}

function isConfig(path: string): boolean {
  const name = path.toLowerCase();
  return [".yaml", ".yml", ".conf", ".env"].some((suffix) => name.endsWith(suffix));
}

function anyClash(paths: string[]): boolean {
  return paths.some((a, i) => paths.some((b, j) => i !== j && (a === b || b.startsWith(a + "/"))));
}

function all(text: string, allowed: string): boolean {
  return [...text].every((c) => allowed.includes(c));
}

function isControl(c: string): boolean {
  const code = c.charCodeAt(0);
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}
