/** What an edge says about its host when it registers. */

import { createHash } from "node:crypto";

/** Fields in the order in which existing agents write them. */
export interface HostInfo {
  readonly hostname: string;
  /** Go's name of the operating system: `linux`, `darwin`. */
  readonly os: string;
  /** Go's name of the architecture: `amd64`, `arm64`. */
  readonly arch: string;
  readonly kernel_version: string;
  /** Logical processors. */
  readonly cpu_count: number;
  readonly mem_total_bytes: number;
  /** Stays the same over reinstallations of the agent; the manager finds the device by it. */
  readonly fingerprint: string;
  /** Primary IPv4 address, where there is one. */
  readonly ip_address?: string;
}

/** Where the host's identity is read; a test has its own. */
export interface HostSources {
  readonly hostname: () => string;
  /** The text of a small file, undefined where it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  readonly interfaces: () => readonly Deno.NetworkInterfaceInfo[];
}

const PRODUCT_UUID = "/sys/class/dmi/id/product_uuid";
const MACHINE_IDS = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
const GO_ARCH: Record<string, string> = { x86_64: "amd64", aarch64: "arm64" };

/** Names of interfaces that exist on many hosts alike: bridges, tunnels, containers. */
const VIRTUAL_INTERFACE =
  /docker|veth|cni|flannel|virbr|br-|tun|tap|vmnet|vbox|kube|cali|lxc|weave/;

/** Go's name of this machine's architecture, as bundles are named: `linux-amd64`. */
export function platformName(): string {
  return `${Deno.build.os}-${GO_ARCH[Deno.build.arch] ?? Deno.build.arch}`;
}

/** Collects the host's description. */
export function hostInfo(sources: HostSources = systemSources()): HostInfo {
  const hostname = sources.hostname();
  const address = primaryIpv4(interfacesOf(sources));
  return {
    hostname,
    os: Deno.build.os,
    arch: GO_ARCH[Deno.build.arch] ?? Deno.build.arch,
    kernel_version: Deno.osRelease(),
    cpu_count: navigator.hardwareConcurrency,
    mem_total_bytes: Deno.systemMemoryInfo().total,
    fingerprint: fingerprint(hostname, sources.readText),
    ...(address === undefined ? {} : { ip_address: address }),
  };
}

/**
 * The host's identity, the way existing agents find it, since another one would make the manager
 * enrol a second device: the SMBIOS product UUID where this user may read it, else the machine id
 * in the form of a UUID, else a hash of the host name.
 */
function fingerprint(hostname: string, readText: HostSources["readText"]): string {
  const product = firstLine(readText(PRODUCT_UUID));
  if (product !== "") return product.toLowerCase();
  for (const path of MACHINE_IDS) {
    const id = firstLine(readText(path));
    const parts = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(id);
    if (parts) return parts.slice(1).join("-");
  }
  return createHash("sha256").update(hostname).digest("hex");
}

function firstLine(text: string | undefined): string {
  return text?.split("\n", 1)[0]?.trim() ?? "";
}

/** A sandbox may forget the sockets that list interfaces; an edge must register without them. */
function interfacesOf(sources: HostSources): readonly Deno.NetworkInterfaceInfo[] {
  try {
    return sources.interfaces();
  } catch {
    // Then the manager sees the address of the connection alone.
    return [];
  }
}

function primaryIpv4(interfaces: readonly Deno.NetworkInterfaceInfo[]): string | undefined {
  const candidates = interfaces.filter((each) =>
    each.family === "IPv4" && !each.address.startsWith("127.")
  );
  const physical = candidates.find((each) => !VIRTUAL_INTERFACE.test(each.name.toLowerCase()));
  return (physical ?? candidates[0])?.address;
}

function systemSources(): HostSources {
  return {
    hostname: () => Deno.hostname(),
    interfaces: () => Deno.networkInterfaces(),
    readText: (path) => {
      try {
        return Deno.readTextFileSync(path);
      } catch {
        // Absent, or readable by root alone: the next source is asked.
        return undefined;
      }
    },
  };
}
