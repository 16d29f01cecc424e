/** How large a bundle may be: refused beyond, at build and at staging. */

/** Bytes of a bundle, packed and unpacked each, as existing agents bound both. */
export const MAX_BUNDLE_BYTES = 1024 * 1024 * 1024;

/** Files and directories of a bundle; a real one has about ten. */
export const MAX_BUNDLE_ENTRIES = 10_000;
