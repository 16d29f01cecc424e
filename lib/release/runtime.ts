/** The Deno runtime that the programs of the bundled flavour share. */

import { join } from "@std/path";
import { UntarStream } from "@std/tar";
import { OngridError } from "../cli/errors.ts";
import { replaceByCopy } from "./replace.ts";
import { hostTarget, namesOf, type Target } from "./targets.ts";

/** The Deno release that the programs run on: the one that builds them. */
export const RUNTIME_VERSION = Deno.version.deno;

/** Where the runtime's binary is in its npm package. */
const BINARY_IN_PACKAGE = "package/deno";

/** What {@linkcode placeRuntime} does. */
export interface PlaceRuntimeOptions {
  readonly target: Target;
  /** The file to make or replace. */
  readonly path: string;
  /** Keeps what is downloaded for another target, by version. */
  readonly cacheDirectory: string;
  readonly info: (message: string) => void;
  /** Downloads a package into a directory and returns the tarball's path; default: npm does. */
  readonly fetchPackage?: typeof npmPack;
}

/**
 * Puts the runtime for a target in its place: for this machine the Deno that runs the build, for
 * another one its npm package from the registry that npm is configured for.
 *
 * @throws {OngridError} The registry has no such package or version, or cannot be reached.
 */
export async function placeRuntime(options: PlaceRuntimeOptions): Promise<void> {
  const { target, path } = options;
  const source = target === hostTarget() ? Deno.execPath() : await downloadedRuntime(options);
  replaceByCopy(source, path);
}

async function downloadedRuntime(options: PlaceRuntimeOptions): Promise<string> {
  const { target, cacheDirectory, info, fetchPackage = npmPack } = options;
  const path = join(cacheDirectory, `deno-${RUNTIME_VERSION}-${target}`);
  if (isFile(path)) return path;
  const { runtimePackage } = namesOf(target);
  info(`fetching the runtime for ${target}: ${runtimePackage}@${RUNTIME_VERSION} from npm`);
  Deno.mkdirSync(cacheDirectory, { recursive: true });
  const directory = Deno.makeTempDirSync({ dir: cacheDirectory, prefix: ".npm-" });
  try {
    const tarball = await fetchPackage(`${runtimePackage}@${RUNTIME_VERSION}`, directory);
    const unpacked = join(directory, "deno");
    await extractBinary(tarball, unpacked);
    Deno.chmodSync(unpacked, 0o755);
    Deno.renameSync(unpacked, path);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
  return path;
}

/**
 * Downloads a package; npm compares it with the sha512 in the registry's metadata. Returns the path
 * of the tarball.
 *
 * @throws {OngridError} There is no npm, or npm says no.
 */
export async function npmPack(
  specifier: string,
  directory: string,
  npm = "npm",
): Promise<string> {
  const what = `Cannot fetch ${specifier} from npm`;
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(npm, {
      args: ["pack", "--loglevel=error", "--pack-destination", directory, specifier],
      cwd: directory,
      stdin: "null",
    }).output();
  } catch (cause) {
    throw new OngridError(what, {
      cause,
      hint: "Install npm, or build on a machine of the target.",
    });
  }
  const [entry] = [...Deno.readDirSync(directory)].filter(({ name }) => name.endsWith(".tgz"));
  if (output.code === 0 && entry !== undefined) return join(directory, entry.name);
  const said = new TextDecoder().decode(output.stderr).trim();
  throw new OngridError(what, {
    cause: new Error(said || `npm pack ended with ${output.code}: no such version there?`),
    hint:
      "See whether the registry has it (npm view <package> versions), choose another registry " +
      "(npm config set registry <url>), or build on a machine of the target.",
  });
}

/**
 * Unpacks the one file that matters.
 *
 * @throws {OngridError} It is not in the package.
 */
export async function extractBinary(tarball: string, to: string): Promise<void> {
  const packed = await Deno.open(tarball, { read: true });
  const entries = packed.readable
    .pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(new UntarStream());
  for await (const entry of entries) {
    if (entry.path === BINARY_IN_PACKAGE && entry.readable !== undefined) {
      const file = await Deno.open(to, { write: true, createNew: true });
      await entry.readable.pipeTo(file.writable);
      return;
    }
    await entry.readable?.cancel();
  }
  throw new OngridError(`${tarball} has no ${BINARY_IN_PACKAGE}`);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}
