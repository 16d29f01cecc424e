/** Which bundle a host takes, from what it says about itself. */

import type { EdgeArch } from "../bundle/sidecar.ts";

const CPU_NAMES: ReadonlyMap<string, EdgeArch> = new Map([
  ["amd64", "linux-amd64"],
  ["x86_64", "linux-amd64"],
  ["x64", "linux-amd64"],
  ["arm64", "linux-arm64"],
  ["aarch64", "linux-arm64"],
]);

/** The bundle architecture that `name` means: `linux-amd64`, or a CPU's name such as `x86_64`. */
export function parseBundleArch(name: string): EdgeArch | undefined {
  const lower = name.trim().toLowerCase();
  return CPU_NAMES.get(lower.startsWith("linux-") ? lower.slice("linux-".length) : lower);
}

/**
 * The bundle architecture of a host: its operating system must be Linux (or unknown), its CPU one
 * that there are bundles for. Otherwise what is wrong, in words that name the host's own.
 */
export function hostBundleArch(
  host: { os: string; arch: string },
): { arch: EdgeArch } | { problem: string } {
  const os = host.os.trim().toLowerCase();
  if (os !== "" && os !== "linux") {
    return { problem: `its operating system is "${host.os}"; bundles are for linux only` };
  }
  const arch = CPU_NAMES.get(host.arch.trim().toLowerCase());
  return arch === undefined
    ? { problem: `unknown architecture "${host.arch}"; there are bundles for amd64 and arm64` }
    : { arch };
}

/**
 * Whether two version strings name the same release: the case of letters and one leading `v` do
 * not count. This is how the manager compares; on the host itself versions must be equal letter
 * by letter.
 */
export function sameRelease(a: string, b: string): boolean {
  return releaseName(a) === releaseName(b);
}

function releaseName(version: string): string {
  return version.trim().toLowerCase().replace(/^v/, "");
}
