/** A bundle that an operator brings as a file, taken into the state directory. */

import { join } from "@std/path";
import { InvalidBundleError } from "../../cli/errors.ts";
import { ensureDirectory, removeDurable } from "../../fs/durable.ts";
import type { Downloaded, DownloadLimits } from "./download.ts";
import { PartFile } from "./part_file.ts";

/** What to take in. */
export interface ReceiveOptions {
  readonly stream: ReadableStream<Uint8Array>;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Holds `<sha256>.part`. */
  readonly directory: string;
  readonly limits: Pick<DownloadLimits, "maxBytes">;
  readonly signal: AbortSignal;
}

/**
 * Copies the stream to `<directory>/<sha256>.part`, hashing on the way.
 *
 * @throws {InvalidBundleError} too large, or of another sha256; nothing is left then.
 */
export async function receive(options: ReceiveOptions): Promise<Downloaded> {
  const { sha256, limits, signal } = options;
  ensureDirectory(options.directory, { mode: 0o700 });
  const path = join(options.directory, `${sha256}.part`);
  using part = await PartFile.open(path);
  try {
    await part.restart();
    for await (const chunk of options.stream) {
      signal.throwIfAborted();
      if (part.size + chunk.length > limits.maxBytes) {
        throw new InvalidBundleError(`bundle too large (more than ${limits.maxBytes} bytes)`);
      }
      await part.write(chunk);
    }
    const got = part.digest();
    if (got !== sha256) {
      throw new InvalidBundleError(`sha256 mismatch (got ${got}, want ${sha256})`, {
        hint: "The file is damaged, or its checksum belongs to another one: copy both again.",
      });
    }
    await part.sync();
    return { path, bytes: part.size };
  } catch (error) {
    removeDurable(path);
    throw error;
  }
}
