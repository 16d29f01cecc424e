/**
 * The command line: the part of `@std/cli` that this repository uses.
 *
 * Taking the `links` entry out of the root `deno.json` is all it takes to run on the published
 * package. No `node:` module and no dependency: the hook that runs before every start of the agent
 * loads it, and every static import is a part of that start.
 *
 * @module
 */
export * from "./parse_args.ts";
