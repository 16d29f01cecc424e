/** Staged bundles, sound and damaged, on hosts to match. */

import { join } from "@std/path";
import type { Prng } from "../../bundle/prng.ts";
import { sha256, type TestFile } from "../../support/hook_host.ts";
import type { EdgeHost } from "./edge_host.ts";

const LIB = "/usr/local/lib/ongrid-edge";
const BIN = "/usr/local/bin";

/** A bundle about to be staged. */
interface Draft {
  readonly files: Record<string, TestFile>;
  lines: string[];
  version: string | undefined;
}

/** What can be wrong, or unusual and still right; each changes the draft, or the host after it. */
type Twist = {
  readonly name: string;
  readonly draft?: (draft: Draft, random: Prng) => void;
  readonly host?: (host: EdgeHost, random: Prng, draft: Draft) => void;
};

const TWISTS: readonly [Twist, ...Twist[]] = [
  { name: "nothing" },
  { name: "comments", draft: ({ lines }) => void lines.unshift("# a note", "", "#") },
  { name: "declared", draft: (d) => void d.lines.unshift(`# version: ${d.version}`) },
  { name: "declared other", draft: ({ lines }) => void lines.push("# version: v9.9.9") },
  { name: "declared twice", draft: (d) => void d.lines.push(...Array(2).fill("# version: v2")) },
  { name: "other arch", draft: ({ lines }) => void lines.push("# arch: linux-mips") },
  { name: "probe", draft: ({ lines }) => void lines.push("# probe: ongrid-edge --version") },
  { name: "probe of nothing", draft: ({ lines }) => void lines.push("# probe: nobody -v") },
  { name: "upper case", draft: changeField(0, (sha) => sha.toUpperCase()) },
  { name: "short hash", draft: changeField(0, (sha) => sha.slice(1)) },
  {
    name: "wrong hash",
    draft: changeField(0, (sha) => sha.replace(/./, (c) => c === "0" ? "1" : "0")),
  },
  { name: "no leading zero", draft: changeField(1, () => "755") },
  { name: "setuid", draft: changeField(1, () => "4755") },
  { name: "octal nine", draft: changeField(1, () => "0795") },
  { name: "absolute src", draft: changeField(2, (src) => `/${src}`) },
  { name: "dotted src", draft: changeField(2, (src) => `./${src}`) },
  { name: "src above", draft: changeField(2, (src) => `x/../${src}`) },
  { name: "src of the bundle", draft: changeField(2, () => "VERSION") },
  { name: "foreign dest", draft: changeField(3, () => "/usr/bin/passwd") },
  { name: "dest in /etc", draft: changeField(3, () => "/etc/ongrid-edge/agent") },
  { name: "dest above", draft: changeField(3, (dest) => dest.replace(LIB, `${LIB}/..`)) },
  { name: "dest is a root", draft: changeField(3, () => LIB) },
  { name: "dest .new", draft: changeField(3, (dest) => `${dest}.new`) },
  { name: "dest .previous", draft: changeField(3, (dest) => `${dest}.previous`) },
  { name: "dest .yaml", draft: changeField(3, (dest) => `${dest}.yaml`) },
  { name: "dest in a directory", draft: changeField(3, () => `${LIB}/plugins/extra`) },
  { name: "dest in a file", draft: changeField(3, () => `${LIB}/promtail/extra`) },
  { name: "five fields", draft: ({ lines }) => void lines.push(`${lines.at(-1) ?? ""} more`) },
  { name: "line twice", draft: ({ lines }) => void lines.push(lines.at(-1) ?? "") },
  { name: "control character", draft: ({ lines }) => void lines.push("# \x07") },
  { name: "no lines", draft: (draft) => void (draft.lines = ["# nothing"]) },
  { name: "no version", draft: (draft) => void (draft.version = undefined) },
  { name: "empty version", draft: (draft) => void (draft.version = "") },
  { name: "odd version", draft: (draft) => void (draft.version = "v0.7.160-rc.1+x") },
  { name: "bad version", draft: (draft) => void (draft.version = "../v2") },
  {
    name: "file missing",
    host: (host, random, draft) => Deno.removeSync(file(host, random, draft)),
  },
  {
    name: "file changed",
    host: (host, random, draft) => Deno.writeTextFileSync(file(host, random, draft), "tampered\n"),
  },
  {
    name: "file is a link",
    host: (host, random, draft) => replace(file(host, random, draft), "link"),
  },
  {
    name: "file is a directory",
    host: (host, random, draft) => replace(file(host, random, draft), "directory"),
  },
  { name: "manifest is a link", host: (host) => replace(staged(host, "MANIFEST.txt"), "link") },
  { name: "no manifest", host: (host) => Deno.removeSync(staged(host, "MANIFEST.txt")) },
  { name: "version is a directory", host: (host) => replace(staged(host, "VERSION"), "directory") },
  { name: "dest is a link", host: (host) => replace(join(host.lib, "promtail"), "link") },
  { name: "dest is a directory", host: (host) => replace(join(host.lib, "promtail"), "directory") },
  { name: "plugins is a link", host: (host) => replace(join(host.lib, "plugins"), "link") },
  { name: "own .new", host: (host) => host.write("lib/promtail.new", "of a killed run\n") },
  { name: "own .previous", host: (host) => host.write("bin/ongrid-edge.previous", "stale\n") },
  { name: "foreign .previous", host: (host) => host.write("lib/f1.previous", "not ours\n") },
  { name: "foreign .new", host: (host) => host.write("bin/f0.new", "not ours\n") },
];

/** What was staged, for messages. */
export interface Generated {
  readonly twists: readonly string[];
  readonly manifest: string;
}

/** Installs something on the host and stages a bundle. */
export function generate(host: EdgeHost, random: Prng): Generated {
  const draft: Draft = { files: someFiles(random), lines: [], version: "v2" };
  draft.lines = Object.entries(draft.files)
    .map(([src, { content, dest, mode }]) => `${sha256(content)} ${mode} ${src} ${dest}`);
  // Most have one twist or none, so that about half are sound.
  const twists = Array.from({ length: random.pick([0, 1, 1, 1, 2]) }, () => random.pick(TWISTS));
  for (const { draft: change } of twists) change?.(draft, random);
  host.install("v1");
  host.stageFiles(draft.files);
  const manifest = draft.lines.map((line) => `${line}\n`).join("");
  host.stageText("MANIFEST.txt", manifest);
  if (draft.version !== undefined) host.stageText("VERSION", `${draft.version}\n`);
  for (const { host: change } of twists) change?.(host, random, draft);
  return { twists: twists.map(({ name }) => name), manifest };
}

function someFiles(random: Prng): Record<string, TestFile> {
  const files: Record<string, TestFile> = {};
  const names = ["ongrid-edge", "promtail", "node_exporter", "f0", "f1", "dir/f2"];
  for (const name of names.filter(() => random.below(3) > 0)) {
    const root = name === "ongrid-edge" || name === "f0" ? BIN : LIB;
    // Some files are what is installed already.
    const content = random.below(5) === 0 ? `${name} v1\n` : `${name} v2\n`;
    files[name] = {
      content,
      dest: `${root}/${name.replace("dir/", "")}`,
      mode: random.pick(["0755", "0644", "0750"]),
    };
  }
  if (Object.keys(files).length > 0) return files;
  return { promtail: { content: "promtail v2\n", dest: `${LIB}/promtail`, mode: "0755" } };
}

function changeField(
  index: number,
  change: (field: string) => string,
): NonNullable<Twist["draft"]> {
  return ({ lines }, random) => {
    const at = random.below(lines.length);
    const fields = (lines[at] ?? "").split(" ");
    fields[index] = change(fields[index] ?? "");
    lines[at] = fields.join(" ");
  };
}

function file(host: EdgeHost, random: Prng, { files }: Draft): string {
  const [first = "promtail", ...others] = Object.keys(files);
  return staged(host, random.pick([first, ...others]));
}

function staged(host: EdgeHost, name: string): string {
  return join(host.stage, "incoming", name);
}

function replace(path: string, by: "link" | "directory"): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (by === "link") Deno.symlinkSync("/etc", path);
  else Deno.mkdirSync(path);
}
