import type { Random } from "./random.ts";
import type { Frame } from "./vectors.ts";

/** All of them, one after another. */
export function join(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Real packets with bytes changed, cut out, doubled, or lengths rewritten; sometimes noise. */
export function mutated(random: Random, packets: Frame[]): Uint8Array {
  if (random.below(10) === 0) return random.bytes(random.below(2_000));
  const frames = Array.from({ length: 1 + random.below(6) }, () => random.pick(packets).bytes);
  let bytes = join(frames);
  for (let changes = random.below(4); changes >= 0; changes--) {
    const at = random.below(bytes.length);
    const length = random.below(64);
    switch (random.below(5)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 2:
        bytes = join([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 3:
        bytes = join([bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)]);
        break;
      case 4:
        bytes.fill(random.below(256), at, at + length);
        break;
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}
