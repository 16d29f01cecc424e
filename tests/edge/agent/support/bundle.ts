/** Edge bundles for tests: whole ones and such that lie, made without the code under test. */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

/** What to put into a bundle. */
export interface BundleSpec {
  version?: string;
  /** Name below the lib directory → content; the agent is always there. */
  files?: Record<string, string | Uint8Array>;
  /** Lines appended to the manifest as they are. */
  extraLines?: string[];
  /** Replaces the hash of the agent in the manifest. */
  agentSha256?: string;
}

/** A bundle in memory. */
export interface TestBundle {
  bytes: Uint8Array<ArrayBuffer>;
  sha256: string;
  version: string;
  /** Number of manifest lines. */
  files: number;
}

/** Lower-case hex SHA-256. */
export function sha256Of(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Makes a bundle. */
export function makeBundle(spec: BundleSpec = {}): TestBundle {
  const version = spec.version ?? "v9.9.9";
  const contents = { "ongrid-edge": `#!/bin/sh\necho ${version}\n`, ...spec.files };
  const lines = Object.entries(contents).map(([name, content]) => {
    const agent = name === "ongrid-edge";
    const directory = agent ? "/usr/local/bin" : "/usr/local/lib/ongrid-edge";
    const sha256 = agent && spec.agentSha256 ? spec.agentSha256 : sha256Of(content);
    return `${sha256} 0755 ${name} ${directory}/${name}`;
  });
  lines.push(...spec.extraLines ?? []);
  const tar = [
    ...Object.entries({
      ...contents,
      "MANIFEST.txt": `# version: ${version}\n${lines.join("\n")}\n`,
      VERSION: `${version}\n`,
    }).map(([name, content]) => tarEntry(name, content)),
    new Uint8Array(1024),
  ];
  const bytes = new Uint8Array(gzipSync(concat(tar), { level: 1 }));
  return { bytes, sha256: sha256Of(bytes), version, files: lines.length };
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

function tarEntry(name: string, content: string | Uint8Array): Uint8Array {
  const data = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const header = new Uint8Array(512);
  const put = (offset: number, text: string) => header.set(new TextEncoder().encode(text), offset);
  const octal = (value: number, width: number) => `${value.toString(8).padStart(width, "0")}\0`;
  put(0, name);
  put(100, octal(0o755, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(data.length, 11));
  put(136, octal(0, 11));
  put(148, "        ");
  put(156, "0");
  put(257, "ustar\u000000");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return concat([header, data, new Uint8Array((512 - data.length % 512) % 512)]);
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
