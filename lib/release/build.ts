/** The build: every program of the table, in one of the two flavours, for one target. */

import { join } from "@std/path";
import { OngridError } from "../cli/errors.ts";
import type { Output } from "../cli/output.ts";
import { isPlainVersion } from "../bundle/version.ts";
import { type Lock, tryAcquireLock } from "../fs/lock.ts";
import { type BuildRecord, isUpToDate, sourceKey, writeRecord } from "./build_record.ts";
import type { Flavour } from "./flavour.ts";
import { bundledScript, bundleModules } from "./flavour_bundled.ts";
import { checkCompiled, compileProgram, runsHere } from "./flavour_compiled.ts";
import { RUNTIME_NAME } from "./launcher.ts";
import { programsIn, type ProgramSpec } from "./programs.ts";
import { removeIfPresent, replaceFile } from "./replace.ts";
import { placeRuntime } from "./runtime.ts";
import type { Target } from "./targets.ts";

/** What {@linkcode buildPrograms} builds. */
export interface BuildOptions {
  /** The checkout. */
  readonly root: string;
  readonly target: Target;
  /** What the programs print for `--version`. */
  readonly version: string;
  readonly flavour: Flavour;
  /** Where the programs go; made where it is absent. */
  readonly directory: string;
  /** Default: all of the table that this checkout has. */
  readonly programs?: readonly ProgramSpec[];
  readonly output: Pick<Output, "info">;
}

/** A finished build. */
export interface Build {
  readonly directory: string;
  /** File names in the directory. */
  readonly files: readonly string[];
  /** True where all of it was there already. */
  readonly upToDate: boolean;
}

/**
 * Builds the programs, or finds that nothing has changed since they were built. One build at a time
 * works in a directory; each file is replaced in one step.
 *
 * @throws {OngridError} The version is no plain version string; see the flavours for the rest.
 */
export async function buildPrograms(options: BuildOptions): Promise<Build> {
  const { root, directory, version, flavour, target, output } = options;
  if (!isPlainVersion(version)) {
    throw new OngridError(`"${version}" is not a version`, {
      hint: "Letters, digits and . _ + -, as in v0.8.1.",
    });
  }
  const programs = options.programs ?? programsIn(root);
  const names = programs.map(({ name }) => name);
  const files = flavour === "bundled" ? [...names, RUNTIME_NAME] : names;
  Deno.mkdirSync(directory, { recursive: true });
  using _lock = await lockDirectory(directory);
  const key = sourceKey({ root, programs, version, flavour, target });
  if (isUpToDate(directory, { key, files })) {
    output.info(`${directory}: ${version} is up to date (${flavour})`);
    return { directory, files, upToDate: true };
  }
  for (const program of programs) await buildOne(program, options);
  if (flavour === "bundled") {
    await placeRuntime({
      target,
      path: join(directory, RUNTIME_NAME),
      cacheDirectory: join(root, "build", ".runtime"),
      info: (message) => output.info(message),
    });
  } else {
    removeIfPresent(join(directory, RUNTIME_NAME));
  }
  const record: BuildRecord = { key, files };
  writeRecord(directory, record);
  output.info(`${directory}: built ${version} for ${target} (${flavour}): ${files.join(", ")}`);
  return { directory, files, upToDate: false };
}

/** How often a build that waits for another one looks again, in milliseconds. */
const LOCK_POLL_MS = 50;

/** Waits without standing still: the build that has the lock may be one of this very process. */
async function lockDirectory(directory: string): Promise<Lock> {
  for (;;) {
    const lock = tryAcquireLock(join(directory, ".lock"));
    if (lock !== undefined) return lock;
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
}

async function buildOne(program: ProgramSpec, options: BuildOptions): Promise<void> {
  const { root, directory, version, flavour, target } = options;
  const modules = await bundleModules({ root, program, version });
  await replaceFile(join(directory, program.name), async (output) => {
    if (flavour === "bundled") {
      Deno.writeTextFileSync(output, bundledScript(program, modules));
    } else {
      await compile({ program, target, modules, output, directory });
      if (runsHere(target)) await checkCompiled(output, version);
    }
    Deno.chmodSync(output, 0o755);
  });
}

async function compile(
  { modules, directory, ...options }: {
    program: ProgramSpec;
    target: Target;
    modules: string;
    output: string;
    directory: string;
  },
): Promise<void> {
  const source = `${options.output}.js`;
  Deno.writeTextFileSync(source, modules);
  try {
    await compileProgram({ ...options, source }, directory);
  } finally {
    Deno.removeSync(source);
  }
}
