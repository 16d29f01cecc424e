/**
 * The version of every program in this repository, printed by `--version`.
 *
 * The build replaces the text of the constant in each program it writes and expects to find it
 * exactly once, so nothing else may spell it out.
 */
export const VERSION = "v0.0.0-dev";
