import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { eventually } from "./support/eventually.ts";
import { startTestManager, TestManager } from "./support/test_manager.ts";

const TEXT = "0123456789";

async function startWithFile(): Promise<TestManager> {
  const manager = await startTestManager();
  Deno.writeTextFileSync(join(manager.bundles, "file.bin"), TEXT);
  return manager;
}

/** Fetches a file without a token; the body is read as text. */
async function get(manager: TestManager, file: string, init: RequestInit = {}) {
  const response = await fetch(`${manager.url}/edge/${file}`, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function ranged(manager: TestManager, range: string, headers: Record<string, string> = {}) {
  return get(manager, "file.bin", { headers: { range, ...headers } });
}

/** Sends bytes as they are, which no client library would, and reads the status line. */
async function rawStatus(manager: TestManager, target: string): Promise<string> {
  const { hostname, port } = new URL(manager.url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  await conn.write(new TextEncoder().encode(request));
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  assertEquals(text.includes("root:"), false);
  return text.split("\r\n")[0] ?? "";
}

Deno.test("a bundle is served to anybody, whole, with its length and what identifies it", async () => {
  await using manager = await startTestManager();
  const file = manager.addBundle("v2.0.0");
  const { status, headers, text } = await get(manager, file);
  assertEquals([status, text], [200, "bundle v2.0.0"]);
  assertEquals(headers.get("content-length"), "13");
  assertEquals(headers.get("accept-ranges"), "bytes");
  assertEquals(headers.get("content-type"), "application/gzip");
  assert(/^"[0-9a-f]+-[0-9a-f]+"$/.test(headers.get("etag") ?? ""));
  assertEquals((await get(manager, `${file}.sha256`)).text, `${"a".repeat(64)}\n`);
});

Deno.test("HEAD tells the same without the bytes", async () => {
  await using manager = await startWithFile();
  const { status, headers, text } = await get(manager, "file.bin", { method: "HEAD" });
  assertEquals([status, headers.get("content-length"), text], [200, "10", ""]);
});

Deno.test("other methods are not there", async () => {
  await using manager = await startWithFile();
  for (const method of ["PUT", "DELETE", "POST"]) {
    assertEquals((await get(manager, "file.bin", { method })).status, 405);
  }
});

Deno.test("a broken download is resumed where it broke off", async () => {
  await using manager = await startWithFile();
  const cases: [string, number, string, string | null][] = [
    ["bytes=4-", 206, "456789", "bytes 4-9/10"],
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=9-99", 206, "9", "bytes 9-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-99", 206, TEXT, "bytes 0-9/10"],
    ["bytes=10-", 416, "", "bytes */10"],
    ["bytes=-0", 416, "", "bytes */10"],
    ["bytes=5-2", 200, TEXT, null],
    ["bytes=0-1,4-5", 200, TEXT, null],
    ["bytes=-", 200, TEXT, null],
    ["lines=1-2", 200, TEXT, null],
    ["bytes=0x1-", 200, TEXT, null],
  ];
  for (const [range, status, text, contentRange] of cases) {
    const answer = await ranged(manager, range);
    assertEquals(
      [range, answer.status, answer.text, answer.headers.get("content-range")],
      [range, status, text, contentRange],
    );
  }
});

Deno.test("a download is not resumed with the bytes of another file", async () => {
  await using manager = await startWithFile();
  const { headers } = await get(manager, "file.bin");
  const etag = headers.get("etag") ?? "";
  const modified = headers.get("last-modified") ?? "";
  assertEquals((await ranged(manager, "bytes=4-", { "if-range": etag })).text, "456789");
  assertEquals((await ranged(manager, "bytes=4-", { "if-range": modified })).text, "456789");
  assertEquals((await ranged(manager, "bytes=4-", { "if-range": `W/${etag}` })).text, TEXT);
  Deno.writeTextFileSync(join(manager.bundles, "file.bin"), "abcdefghijk");
  const after = await ranged(manager, "bytes=4-", { "if-range": etag });
  assertEquals([after.status, after.text], [200, "abcdefghijk"]);
});

Deno.test("a file the client has is not sent again", async () => {
  await using manager = await startWithFile();
  const etag = (await get(manager, "file.bin")).headers.get("etag") ?? "";
  for (const known of [etag, `"x", ${etag}`, `W/${etag}`, "*"]) {
    const { status } = await get(manager, "file.bin", { headers: { "if-none-match": known } });
    assertEquals([known, status], [known, 304]);
  }
  const other = await get(manager, "file.bin", { headers: { "if-none-match": '"x"' } });
  assertEquals(other.status, 200);
});

Deno.test("nothing but regular files with plain names is served", async () => {
  await using manager = await startWithFile();
  const { bundles, directory } = manager;
  Deno.writeTextFileSync(join(bundles, ".hidden"), "secret");
  Deno.writeTextFileSync(join(bundles, "with space"), "secret");
  Deno.writeTextFileSync(join(directory, "outside"), "secret");
  Deno.mkdirSync(join(bundles, "sub"));
  Deno.writeTextFileSync(join(bundles, "sub", "inner"), "secret");
  Deno.symlinkSync(join(directory, "outside"), join(bundles, "link"));
  Deno.symlinkSync("file.bin", join(bundles, "link-inside"));
  await new Deno.Command("mkfifo", { args: [join(bundles, "fifo")] }).output();
  const targets = [
    "/edge/",
    "/edge",
    "/edge/.hidden",
    "/edge/with%20space",
    "/edge/sub",
    "/edge/sub/",
    "/edge/sub/inner",
    "/edge/link",
    "/edge/link-inside",
    "/edge/fifo",
    "/edge/..",
    "/edge/../outside",
    "/edge/%2e%2e/outside",
    "/edge/..%2foutside",
    "/edge/%2e%2e%2foutside",
    "/edge/..%5coutside",
    "/edge/....//outside",
    "/edge/sub%2finner",
    "/edge/file.bin%00",
    "/edge/file.bin/",
    "/edge//file.bin",
    "/edge/%66ile.bin%0d%0ax",
    "/edge/../../../../../../../../etc/passwd",
    "/edge/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/edge/%ff",
    "/edge/%",
    `/edge/${"x".repeat(300)}`,
    "/edge/manager.db",
  ];
  for (const target of targets) {
    const status = await rawStatus(manager, target);
    assertEquals([target, status], [target, "HTTP/1.1 404 Not Found"]);
  }
  assertEquals(await rawStatus(manager, "/edge/file.bin"), "HTTP/1.1 200 OK");
});

Deno.test("an empty file is an empty answer", async () => {
  await using manager = await startTestManager();
  Deno.writeTextFileSync(join(manager.bundles, "empty"), "");
  const { status, text, headers } = await get(manager, "empty");
  assertEquals([status, text, headers.get("content-length")], [200, "", "0"]);
  const part = await get(manager, "empty", { headers: { range: "bytes=0-" } });
  assertEquals(part.status, 416);
});

Deno.test("a large file arrives byte for byte, and a part of it, too", async () => {
  await using manager = await startTestManager();
  const bytes = new Uint8Array(3_000_000).map((_, index) => (index * 7919) >> 5);
  Deno.writeFileSync(join(manager.bundles, "large"), bytes);
  const whole = await fetch(`${manager.url}/edge/large`);
  assertEquals(await whole.bytes(), bytes);
  const headers = { range: "bytes=1000001-2999998" };
  const part = await fetch(`${manager.url}/edge/large`, { headers });
  assertEquals(await part.bytes(), bytes.slice(1_000_001, 2_999_999));
});

Deno.test("a client that goes away in the middle leaves no file open", async () => {
  await using manager = await startTestManager();
  Deno.writeFileSync(join(manager.bundles, "large"), new Uint8Array(20_000_000));
  const openFiles = () =>
    [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(manager.bundles);
      } catch {
        return false; // closed in the meantime
      }
    }).length;
  const abort = new AbortController();
  const response = await fetch(`${manager.url}/edge/large`, { signal: abort.signal });
  const reader = response.body?.getReader();
  await reader?.read();
  assert(openFiles() > 0);
  abort.abort();
  await reader?.cancel().catch(() => {}); // the abort above is its reason
  await eventually("the file is closed", () => openFiles() === 0 || undefined);
});

Deno.test("a manager stops in time while somebody downloads slowly", async () => {
  const manager = await startTestManager();
  Deno.writeFileSync(join(manager.bundles, "large"), new Uint8Array(50_000_000));
  const response = await fetch(`${manager.url}/edge/large`);
  const reader = response.body?.getReader();
  await reader?.read();
  const begin = performance.now();
  await manager.stop();
  assert(performance.now() - begin < 5_000);
  let broken = false;
  try {
    while (!(await reader?.read())?.done);
  } catch (e) {
    broken = e instanceof Error;
  }
  assertEquals(broken, true);
  await manager[Symbol.asyncDispose]();
});
