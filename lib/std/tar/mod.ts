/**
 * Tar archives as streams: the whole of `@std/tar`, written by hand.
 *
 * No npm package can stand behind it: `tar-stream` follows PAX and GNU headers, forgives a missing
 * end and has its own errors, whereas code written for `@std/tar` sees raw headers and relies on
 * its checks. Exports, signatures, errors and the written bytes are those of the published package,
 * so that taking the `links` entry out of the root `deno.json` is all it takes to run on that one.
 * What is better here: content comes in pieces of up to 64 KiB instead of 512 bytes, and the input
 * is cancelled, thus closed, when reading fails or ends early.
 *
 * Archives are neither compressed nor decompressed.
 *
 * @module
 */
export * from "./tar_stream.ts";
export * from "./untar_stream.ts";
