/** What the staging tests share: a directory around, archives with a sound manifest, listings. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { InvalidBundleError } from "../../lib/cli/errors.ts";
import { CANONICAL_ROOTS } from "../../lib/bundle/manifest.ts";
import { stageBundle, type StagedBundle, type StageOptions } from "../../lib/bundle/stage.ts";
import { sha256Hex } from "../support/bundle_fixture.ts";
import { concat, END, entry, gzip } from "../support/raw_tar.ts";

/** The version of the archives here. */
export const VERSION = "v1.2.3";

/** The content of the one file that the manifest of {@link soundEntries} names. */
export const AGENT = "#!/bin/sh\necho v1.2.3\n";

/** A manifest line for a file with this content. */
export function manifestLine(src: string, content: string | Uint8Array): string {
  return `${sha256Hex(content)} 0755 ${src} /usr/local/bin/${src}\n`;
}

/** `MANIFEST.txt`, `VERSION` and the agent: an archive that is accepted when nothing is added. */
export function soundEntries(
  manifest = manifestLine("ongrid-edge", AGENT),
): Uint8Array<ArrayBuffer> {
  return concat(
    entry({ name: "MANIFEST.txt" }, manifest),
    entry({ name: "VERSION" }, `${VERSION}\n`),
    entry({ name: "ongrid-edge", mode: "0000755" }, AGENT),
  );
}

/** A complete tar.gz: the sound entries, then these, then the end. */
export function withEntries(...entries: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return gzip(concat(soundEntries(), ...entries, END));
}

/** What is added to a sound archive, and the words it is refused with. */
export type Hostile = [promise: string, added: Uint8Array | Uint8Array[], words: string];

/** A test for each: added to a sound archive, it makes that refused, and nothing is left. */
export function testHostile(table: Hostile[]): void {
  for (const [promise, added, words] of table) {
    Deno.test(`refused, leaving nothing: ${promise}`, async () => {
      using sandbox = new Sandbox();
      await sandbox.refuses(withEntries(...[added].flat()), words);
    });
  }
}

/** Content by name as entries of an archive, in this order. */
export function contentsOf(files: Record<string, string>): Uint8Array<ArrayBuffer> {
  return concat(...Object.entries(files).map(([name, content]) => entry({ name }, content)));
}

/** A temporary directory with a bundle in it and a place to stage it. */
export class Sandbox implements Disposable {
  readonly dir = Deno.makeTempDirSync();
  readonly tarball = `${this.dir}/bundle.tar.gz`;
  readonly staged = `${this.dir}/state/incoming.partial`;

  constructor() {
    Deno.mkdirSync(`${this.dir}/state`);
    Deno.writeTextFileSync(`${this.dir}/canary`, "untouched");
    Deno.writeTextFileSync(`${this.dir}/state/canary`, "untouched");
  }

  /** Stages these bytes, with their own sha256 unless another one is given. */
  async stage(
    bytes: Uint8Array,
    options: Partial<StageOptions> = {},
  ): Promise<StagedBundle> {
    Deno.writeFileSync(this.tarball, bytes);
    return await stageBundle({
      tarball: this.tarball,
      sha256: sha256Hex(bytes),
      roots: CANONICAL_ROOTS,
      dir: this.staged,
      ...options,
    });
  }

  /** These bytes are refused with these words, and nothing is left behind or touched. */
  async refuses(
    bytes: Uint8Array,
    words: string,
    options: Partial<StageOptions> = {},
  ): Promise<void> {
    Deno.writeFileSync(this.tarball, bytes);
    const before = listing(this.dir);
    const { message } = await assertRejects(
      () => this.stage(bytes, options),
      InvalidBundleError,
    );
    assertStringIncludes(message, words);
    assertEquals(/^[\x20-\x7e]*$/.test(message), true, "the message is printable");
    assertEquals(listing(this.dir), before);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

/** Every path below a directory with its mode and content's hash, sorted. */
export function listing(dir: string): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync(dir)) {
    const path = `${dir}/${name}`;
    const info = Deno.lstatSync(path);
    const mode = ((info.mode ?? 0) & 0o7777).toString(8);
    if (info.isDirectory) {
      found.push(`${name}/ ${mode}`, ...listing(path).map((below) => `${name}/${below}`));
    } else if (info.isFile) {
      found.push(`${name} ${mode} ${sha256Hex(Deno.readFileSync(path)).slice(0, 16)}`);
    } else found.push(`${name} is no file`);
  }
  return found.sort();
}
