import { UsageError } from "../cli/errors.ts";

/** Where to listen. */
export interface ListenAddress {
  /** Undefined: on all addresses of the host. */
  hostname: string | undefined;
  /** 0: any free port. */
  port: number;
}

/**
 * Parses `:8080` (all addresses), `127.0.0.1:8080` or `[::1]:8080`, as the Go programs take them.
 *
 * @throws {UsageError} It is none of these; `name` says which setting it was.
 */
export function parseListenAddress(text: string, name: string): ListenAddress {
  const [, bracketed, plain = "", digits = ""] =
    /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text.trim()) ?? [];
  const port = digits === "" ? NaN : Number(digits);
  if (!(port <= 65_535)) {
    throw new UsageError(`Cannot listen on "${text}" (${name}): it is no address`, {
      hint: 'Write ":8080" for all addresses, "127.0.0.1:8080" for one.',
    });
  }
  const hostname = bracketed ?? plain;
  return { hostname: hostname === "" ? undefined : hostname, port };
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatAddress({ hostname, port }: { hostname: string; port: number }): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/**
 * Starts a server on `address`. All addresses means IPv6 and IPv4 on one socket; where the host has
 * no IPv6 it means IPv4.
 */
export async function listenOn<T>(
  address: ListenAddress,
  start: (address: { hostname: string; port: number }) => T | Promise<T>,
): Promise<T> {
  const { hostname, port } = address;
  if (hostname !== undefined) return await start({ hostname, port });
  try {
    return await start({ hostname: "::", port });
  } catch (e) {
    if (e instanceof Deno.errors.AddrInUse) throw e;
    return await start({ hostname: "0.0.0.0", port });
  }
}
