/** Versions of the edge's files and their bundles, as a release would have them. */

import { join } from "@std/path";
import { buildBundle, type BuiltBundle } from "../lib/bundle/build.ts";
import { OWNED_FILES } from "../lib/bundle/owned.ts";
import { isEdgeArch } from "../lib/bundle/sidecar.ts";
import { OngridError } from "../lib/cli/errors.ts";
import { buildPrograms } from "../lib/release/build.ts";
import { RUNTIME_NAME } from "../lib/release/launcher.ts";
import { programsIn, type ProgramSpec } from "../lib/release/programs.ts";
import { hostTarget } from "../lib/release/targets.ts";
import type { ReleaseFiles } from "./edge_host.ts";

/** Names of all files that belong onto an edge host. */
export const RELEASE_NAMES: readonly string[] = OWNED_FILES.map(({ name }) => name);

/** A version that can be installed. */
export interface Release {
  readonly version: string;
  /** Directory with all programs of this version. */
  readonly directory: string;
  /** Everything that belongs onto an edge host, by name. */
  readonly files: ReleaseFiles;
}

/** What {@linkcode makeRelease} makes. */
export interface ReleaseOptions {
  /** The checkout. */
  readonly root: string;
  readonly version: string;
  /** Where its programs go. */
  readonly directory: string;
  /** The entry of another agent than the ordinary one. */
  readonly agentEntry?: string;
  /** Gives the runtime bytes of its own, so that an upgrade has to replace it. */
  readonly distinctRuntime?: boolean;
}

/** Builds the programs of a version, and stand-ins for the plugins of that version. */
export async function makeRelease(options: ReleaseOptions): Promise<Release> {
  const { root, version, directory, agentEntry, distinctRuntime } = options;
  await buildPrograms({
    root,
    target: hostTarget(),
    version,
    flavour: "bundled",
    directory,
    programs: programsIn(root).map((program) => withAgent(program, agentEntry)),
    output: { info: () => {} },
  });
  const edge = join(directory, "edge");
  Deno.mkdirSync(edge, { recursive: true });
  const files = new Map<string, string>();
  for (const { name, role } of OWNED_FILES) {
    const own = join(edge, name);
    if (role === "plugin") {
      Deno.writeTextFileSync(own, `#!/bin/sh\n# Stands for ${name}.\necho "${name} ${version}"\n`);
      files.set(name, own);
    } else if (role === "guard") {
      files.set(name, join(root, "deploy/edge", name));
    } else if (role === "runtime" && distinctRuntime) {
      distinctCopy(join(directory, name), own, version);
      files.set(name, own);
    } else {
      files.set(name, join(directory, name));
    }
  }
  return { version, directory, files };
}

/** Which bundle {@linkcode makeBundle} makes of a release. */
export interface ReleaseBundleOptions {
  /** Existing directory for the bundle and its sidecar. */
  readonly outDir: string;
  /** Names of the files that go into it; default: all. */
  readonly names?: readonly string[];
}

/**
 * Makes a real bundle of a release, packed fast rather than small.
 *
 * @throws {OngridError} There are no edges of this machine's kind.
 */
export async function makeBundle(
  { version, files }: Release,
  { outDir, names }: ReleaseBundleOptions,
): Promise<BuiltBundle> {
  const arch = hostTarget();
  if (!isEdgeArch(arch)) throw new OngridError(`There are no edges on ${arch}, only on Linux`);
  const chosen = OWNED_FILES.filter(({ name }) => names?.includes(name) ?? true);
  return await buildBundle({
    arch,
    version,
    files: chosen.map(({ name, dest }) => ({
      path: files.get(name) ?? name,
      name,
      mode: 0o755,
      dest,
    })),
    probes: [{ src: "ongrid-edge", args: ["--version"] }],
    outDir,
    sourceDateEpoch: 0,
    gzipLevel: 1,
  });
}

function withAgent(program: ProgramSpec, entry: string | undefined): ProgramSpec {
  return program.name === "ongrid-edge" && entry !== undefined ? { ...program, entry } : program;
}

/** Behind the end of an executable there may be anything: the loader does not look there. */
function distinctCopy(runtime: string, path: string, version: string): void {
  Deno.copyFileSync(runtime, path);
  Deno.writeTextFileSync(path, `\n${RUNTIME_NAME} of ${version}\n`, { append: true });
}
