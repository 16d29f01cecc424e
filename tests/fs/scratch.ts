/** A temporary directory that is removed at the end of the block: `using dir = new Scratch()`. */
export class Scratch implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "ongrid-fs-" });

  /** The path of a name in it. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Writes a file and returns its path. */
  file(name: string, content: string | Uint8Array): string {
    const path = this.at(name);
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  }

  /** The names in it, sorted. */
  names(): string[] {
    return Array.from(Deno.readDirSync(this.path), ({ name }) => name).toSorted();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Makes a FIFO. */
export function makeFifo(path: string): void {
  const { success } = new Deno.Command("mkfifo", { args: [path] }).outputSync();
  if (!success) throw new Error(`mkfifo ${path} failed`);
}

/** The permission bits of a path, not following a link. */
export function modeOf(path: string): number {
  return (Deno.lstatSync(path).mode ?? 0) & 0o7777;
}

/** True where modes do not stop this process from reading and writing. */
export const IS_ROOT = Deno.uid() === 0;

/** SHA-256 by way of WebCrypto, in hex: a second opinion. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(digest).toHex();
}
