import { assert, assertEquals, assertMatch } from "@std/assert";
import { hostInfo, platformName } from "../../../lib/edge/agent/host_info.ts";

const address = (name: string, ip: string): Deno.NetworkInterfaceInfo => ({
  name,
  family: "IPv4",
  address: ip,
  netmask: "255.255.255.0",
  scopeid: null,
  cidr: `${ip}/24`,
  mac: "00:00:00:00:00:00",
});

const info = (files: Record<string, string>, interfaces: Deno.NetworkInterfaceInfo[] = []) =>
  hostInfo({
    hostname: () => "vm",
    readText: (path) => files[path],
    interfaces: () => interfaces,
  });

Deno.test("the fields stand in the order of existing agents and hold this machine's values", () => {
  const real = hostInfo();
  assertEquals(
    Object.keys(real).filter((key) => key !== "ip_address"),
    [
      "hostname",
      "os",
      "arch",
      "kernel_version",
      "cpu_count",
      "mem_total_bytes",
      "fingerprint",
    ],
  );
  assertEquals(real.hostname, Deno.hostname());
  assert(real.cpu_count >= 1 && Number.isInteger(real.cpu_count));
  assert(real.mem_total_bytes > 64 * 1024 * 1024, "bytes, not kilobytes");
  assertMatch(platformName(), /^(linux|darwin)-(amd64|arm64)$/);
  assertEquals(`${real.os}-${real.arch}`, platformName());
});

Deno.test("total memory is what the kernel says", { ignore: Deno.build.os !== "linux" }, () => {
  const [, kilobytes] = /MemTotal:\s+([0-9]+) kB/.exec(Deno.readTextFileSync("/proc/meminfo")) ??
    [];
  assertEquals(hostInfo().mem_total_bytes, Number(kilobytes) * 1024);
});

Deno.test("the fingerprint is found in the order of existing agents", () => {
  const id = "3d1219c7aaaa4bbb8cccddddeeeeffff";
  const product = { "/sys/class/dmi/id/product_uuid": "4C4C4544-0042\n" };
  const machine = { "/etc/machine-id": `${id}\n` };
  assertEquals(info({ ...product, ...machine }).fingerprint, "4c4c4544-0042");
  assertEquals(info(machine).fingerprint, "3d1219c7-aaaa-4bbb-8ccc-ddddeeeeffff");
  assertMatch(info({ "/etc/machine-id": "uninitialized\n" }).fingerprint, /^[0-9a-f]{64}$/);
});

Deno.test("the address is that of a real interface; without any it is left out", () => {
  const eth0 = address("eth0", "192.0.2.7");
  const docker0 = address("docker0", "172.17.0.1");
  assertEquals(info({}, [address("lo", "127.0.0.1"), docker0, eth0]).ip_address, "192.0.2.7");
  assertEquals(info({}, [docker0]).ip_address, "172.17.0.1");
  assert(!("ip_address" in info({}, [address("lo", "127.0.0.1")])));
});

Deno.test("a sandbox without a list of interfaces does not keep the edge from registering", () => {
  const { hostname, ip_address } = hostInfo({
    hostname: () => "vm",
    readText: () => undefined,
    interfaces: () => {
      throw new Deno.errors.PermissionDenied("address family not supported");
    },
  });
  assertEquals([hostname, ip_address], ["vm", undefined]);
});
