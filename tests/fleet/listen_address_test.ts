import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/cli/errors.ts";
import { formatAddress, listenOn, parseListenAddress } from "../../lib/fleet/listen_address.ts";

Deno.test("addresses are understood as the Go programs write them", () => {
  const parse = (text: string) => parseListenAddress(text, "X");
  assertEquals(parse(":8080"), { hostname: undefined, port: 8080 });
  assertEquals(parse("127.0.0.1:0"), { hostname: "127.0.0.1", port: 0 });
  assertEquals(parse("0.0.0.0:80"), { hostname: "0.0.0.0", port: 80 });
  assertEquals(parse("[::1]:443"), { hostname: "::1", port: 443 });
  assertEquals(parse("localhost:65535"), { hostname: "localhost", port: 65535 });
  for (const bad of ["", "8080", ":", ":65536", "::1:80", "host", "a b:1", ":-1", "[::1]", ":8x"]) {
    assertThrows(() => parse(bad), UsageError, "it is no address");
  }
});

Deno.test("an address is written so that it can be read again", () => {
  assertEquals(formatAddress({ hostname: "::1", port: 1 }), "[::1]:1");
  assertEquals(formatAddress({ hostname: "10.0.0.1", port: 1 }), "10.0.0.1:1");
});

Deno.test("all addresses means IPv4 alone where there is no IPv6", async () => {
  const tried: string[] = [];
  const start = ({ hostname }: { hostname: string }) => {
    tried.push(hostname);
    if (hostname === "::") throw new Error("address family not supported");
    return hostname;
  };
  assertEquals(await listenOn({ hostname: undefined, port: 1 }, start), "0.0.0.0");
  assertEquals(tried, ["::", "0.0.0.0"]);
});

Deno.test("a port that is taken is not tried on fewer addresses", async () => {
  const tried: string[] = [];
  let caught: unknown;
  try {
    await listenOn({ hostname: undefined, port: 1 }, ({ hostname }) => {
      tried.push(hostname);
      throw new Deno.errors.AddrInUse("taken");
    });
  } catch (e) {
    caught = e;
  }
  assertEquals([caught instanceof Deno.errors.AddrInUse, tried], [true, ["::"]]);
});
