type NodeFs = typeof import("node:fs");

/**
 * `node:fs`, loaded at the first call: a static import costs every program 20 ms at start, also
 * the many runs of the hook that find nothing to do. It is used only for what `Deno.*` lacks: open
 * flags, `fchmod` and `fchown` on an open file, `statfs`.
 */
export function nodeFs(): NodeFs {
  return globalThis.process.getBuiltinModule("node:fs");
}
