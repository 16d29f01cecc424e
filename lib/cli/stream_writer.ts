/** Writes text to a stream, all of it. */
export type Write = (text: string) => void;

interface SyncStream {
  writeSync(data: Uint8Array): number;
}

/** How long a full pipe is waited for before its reader counts as gone, in milliseconds. */
const PATIENCE_MS = 5000;

/** Between two attempts to write to a full pipe, in milliseconds. */
const PAUSE_MS = 5;

/**
 * Writes to `stdout` or `stderr` until nobody reads there any more, then drops everything: an
 * upgrade must not stop half way because the terminal was closed or `| head` has seen enough.
 */
export function streamWriter(stream: SyncStream): Write {
  const encoder = new TextEncoder();
  let gone = false;
  return (text) => {
    if (gone) return;
    try {
      writeAll(stream, encoder.encode(text));
    } catch (e) {
      if (!isReaderGone(e)) throw e;
      gone = true;
    }
  };
}

function writeAll(stream: SyncStream, bytes: Uint8Array): void {
  const deadline = performance.now() + PATIENCE_MS;
  for (let done = 0; done < bytes.length;) {
    try {
      done += stream.writeSync(bytes.subarray(done));
    } catch (e) {
      // A pipe that whoever started us made non-blocking, and that is full.
      if (!(e instanceof Deno.errors.WouldBlock) || performance.now() > deadline) throw e;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}

function isReaderGone(e: unknown): boolean {
  if (e instanceof Deno.errors.BrokenPipe || e instanceof Deno.errors.WouldBlock) return true;
  if (e instanceof Deno.errors.BadResource) return true;
  const code = e instanceof Error && "code" in e ? e.code : undefined;
  // A terminal that was hung up, a log on a full disk, a stream closed by whoever started us.
  return code === "EIO" || code === "ENOSPC" || code === "EPIPE" || code === "EBADF";
}
