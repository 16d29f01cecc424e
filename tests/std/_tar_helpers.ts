import {
  type OldStyleFormat,
  type PosixUstarFormat,
  TarStream,
  type TarStreamInput,
  type TarStreamOptions,
  UntarStream,
} from "@std/tar";

export type Bytes = Uint8Array<ArrayBuffer>;

export const BLOCK = 512;
export function bytes(text: string): Bytes {
  return new TextEncoder().encode(text);
}

export function file(path: string, text: string, options: TarStreamOptions = {}): TarStreamInput {
  const content = bytes(text);
  const readable = ReadableStream.from([content]);
  return { type: "file", path, size: content.length, readable, options: { mtime: 1, ...options } };
}

export async function pack(...inputs: TarStreamInput[]): Promise<Bytes> {
  const archive = ReadableStream.from(inputs).pipeThrough(new TarStream());
  return await new Response(archive).bytes();
}

/** A header made by hand, for what TarStream does not write. */
export function header(fields: Record<number, string>): Bytes {
  const block = new Uint8Array(BLOCK);
  const all = { 100: "0000644\0", 124: "00000000000\0", 156: "0", 257: "ustar\x0000", ...fields };
  for (const [at, text] of Object.entries(all)) block.set(bytes(text), Number(at));
  block.fill(32, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(bytes(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return block;
}

export function concat(...parts: Bytes[]): Bytes {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

export function padded(text: string): Bytes {
  const content = new Uint8Array(Math.ceil(text.length / BLOCK) * BLOCK);
  content.set(bytes(text));
  return content;
}

export const END = new Uint8Array(2 * BLOCK);

/** The input in chunks of `size`. */
export function chunked(archive: Bytes, size = archive.length): ReadableStream<Bytes> {
  const chunks: Bytes[] = [];
  for (let at = 0; at < archive.length; at += size) chunks.push(archive.slice(at, at + size));
  return ReadableStream.from(chunks);
}

export interface Found {
  path: string;
  header: OldStyleFormat | PosixUstarFormat;
  text: string | undefined;
}

export async function unpack(archive: Bytes, chunkSize?: number): Promise<Found[]> {
  const found: Found[] = [];
  const entries = chunked(archive, chunkSize).pipeThrough(new UntarStream());
  for await (const { path, header, readable } of entries) {
    found.push({ path, header, text: readable && await new Response(readable).text() });
  }
  return found;
}
