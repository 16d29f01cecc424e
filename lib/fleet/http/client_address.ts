/** Loopback and private networks: where a reverse proxy of the stack speaks from. */
const NEAR = /^(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|::1$|f[cd][0-9a-f]{2}:)/i;

/**
 * The address a request comes from. A proxy next to the manager appends the address it saw to
 * `X-Forwarded-For`, so the last entry counts, and only when the connection itself comes from
 * near by: anybody can write the header.
 */
export function clientAddress(headers: Headers, peer: string): string {
  const direct = peer.replace(/^::ffff:/i, "");
  if (!NEAR.test(direct)) return direct;
  const last = headers.get("x-forwarded-for")?.split(",").at(-1)?.trim().replace(/^::ffff:/i, "") ??
    "";
  return /^[0-9A-Fa-f:.]{2,45}$/.test(last) ? last : direct;
}
