/** Small, real bundles for tests. */

import { createHash } from "node:crypto";
import { buildBundle, type BuildOptions, type BuiltBundle } from "../../lib/bundle/build.ts";
import { type ManagedRoots, OWNED_FILES } from "../../lib/bundle/owned.ts";
import { stageBundle, type StagedBundle } from "../../lib/bundle/stage.ts";
import type { EdgeArch } from "../../lib/bundle/sidecar.ts";

/** How a bundle of {@link makeBundle} differs from the default one. */
export interface FixtureOptions {
  /** Where bundle, sidecar and the sources (in `src-<version>`) go; must exist. */
  dir: string;
  version: string;
  /** Default `linux-amd64`. */
  arch?: EdgeArch;
  /**
   * Content by the name of an owned file; those not named are left out. Default: every owned file
   * with a text of its own that contains its name and the version.
   */
  contents?: Record<string, string | Uint8Array>;
  /** More files, with destinations of their own. */
  extra?: { name: string; dest: string; mode?: number; content: string | Uint8Array }[];
  /** Anything else for the builder, such as probes. */
  build?: Partial<Pick<BuildOptions, "probes" | "gzipLevel" | "sourceDateEpoch" | "sign">>;
}

/** A built bundle with the content of its files by name. */
export interface FixtureBundle extends BuiltBundle {
  contents: ReadonlyMap<string, Uint8Array>;
}

/** The default content of a file in a fixture: a shell script, so that it looks runnable. */
export function fixtureContent(name: string, version: string): string {
  return `#!/bin/sh\n# ${name} ${version}\necho ${version}\n`;
}

/** Builds a bundle of small files, with the real builder. */
export async function makeBundle(options: FixtureOptions): Promise<FixtureBundle> {
  const { dir, version, arch = "linux-amd64", build = {} } = options;
  const contents = options.contents ??
    Object.fromEntries(OWNED_FILES.map(({ name }) => [name, fixtureContent(name, version)]));
  const owned = OWNED_FILES.filter(({ name }) => name in contents)
    .map(({ name, dest }) => ({ name, dest, mode: 0o755, content: contents[name] ?? "" }));
  const all = [...owned, ...(options.extra ?? [])];
  const sources = `${dir}/src-${version}`;
  Deno.mkdirSync(sources, { recursive: true });
  const written = new Map<string, Uint8Array>();
  const files = all.map(({ name, dest, mode = 0o755, content }) => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    Deno.writeFileSync(`${sources}/${name}`, bytes);
    written.set(name, bytes);
    return { path: `${sources}/${name}`, name, mode, dest };
  });
  const built = await buildBundle({
    arch,
    version,
    files,
    probes: [],
    outDir: dir,
    sourceDateEpoch: 1_700_000_000,
    gzipLevel: 1,
    ...build,
  });
  return { ...built, contents: written };
}

/** Builds a bundle and stages it into `into`, as the agent does. */
export async function makeStaged(
  options: FixtureOptions & { into: string; roots: ManagedRoots },
): Promise<StagedBundle> {
  const { path, sha256 } = await makeBundle(options);
  return await stageBundle({ tarball: path, sha256, dir: options.into, roots: options.roots });
}

/** Lower-case hex SHA-256. */
export function sha256Hex(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
