/** The systems that programs are built for. */

import { UsageError } from "../cli/errors.ts";

/** What a target is called in `build/<target>/`, as Go calls it. */
export const TARGETS = ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"] as const;

/** A system that programs are built for. */
export type Target = typeof TARGETS[number];

/** What others call a target. */
interface TargetNames {
  /** Rust's name, which `deno compile --target` takes. */
  readonly triple: string;
  /** The npm package that carries the Deno runtime for it. */
  readonly runtimePackage: string;
}

const NAMES: Record<Target, TargetNames> = {
  "linux-amd64": {
    triple: "x86_64-unknown-linux-gnu",
    runtimePackage: "@deno/linux-x64-glibc",
  },
  "linux-arm64": {
    triple: "aarch64-unknown-linux-gnu",
    runtimePackage: "@deno/linux-arm64-glibc",
  },
  "darwin-amd64": { triple: "x86_64-apple-darwin", runtimePackage: "@deno/darwin-x64" },
  "darwin-arm64": { triple: "aarch64-apple-darwin", runtimePackage: "@deno/darwin-arm64" },
};

/** What Deno and npm call a target. */
export function namesOf(target: Target): TargetNames {
  return NAMES[target];
}

/** Understands the name of a target. Throws `UsageError` for any other. */
export function parseTarget(text: string): Target {
  const target = TARGETS.find((each) => each === text);
  if (target !== undefined) return target;
  throw new UsageError(`"${text}" is not a target`, { hint: `One of: ${TARGETS.join(", ")}.` });
}

/** The target that this very machine is. Throws `UsageError` where it is none. */
export function hostTarget(triple: string = Deno.build.target): Target {
  const target = TARGETS.find((each) => NAMES[each].triple === triple);
  if (target !== undefined) return target;
  throw new UsageError(`This machine (${triple}) is none of the targets`, {
    hint: `Name one with --target: ${TARGETS.join(", ")}.`,
  });
}
