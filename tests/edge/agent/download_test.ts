import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describeError, InvalidBundleError, OngridError } from "../../../lib/cli/errors.ts";
import { download, type DownloadOptions } from "../../../lib/edge/agent/download.ts";
import { createOpener } from "../../../lib/edge/agent/http.ts";
import { noise, sha256Of } from "./support/bundle.ts";
import { type Answer, fileAnswer, type SeenRequest, serveFiles } from "./support/file_server.ts";
import { QUICK, quickEffects, TestHost } from "./support/host.ts";

const FILE = noise(300_000);
const SHA256 = sha256Of(FILE);

type Changes = Partial<DownloadOptions>;

async function withServer(
  handle: (request: SeenRequest, number: number) => Answer,
  test: (
    fetch: (changes?: Changes) => Promise<Uint8Array>,
    host: TestHost,
    seen: SeenRequest[],
  ) => Promise<void>,
): Promise<void> {
  using host = new TestHost();
  await using server = serveFiles(handle);
  const fetch = async (changes: Changes = {}) => {
    const { path } = await download({
      url: `${server.url}/file`,
      sha256: SHA256,
      directory: join(host.paths.stage, "download"),
      openUrl: createOpener(),
      limits: QUICK,
      effects: quickEffects(),
      signal: new AbortController().signal,
      ...changes,
    });
    return Deno.readFileSync(path);
  };
  await test(fetch, host, server.seen);
}

Deno.test("a file arrives whole, and its progress is told", async () => {
  await withServer((request) => fileAnswer(request, FILE), async (fetch) => {
    const told: (number | undefined)[][] = [];
    assertEquals(await fetch({ onProgress: (done, total) => told.push([done, total]) }), FILE);
    assertEquals(told.at(-1), [FILE.length, FILE.length]);
  });
});

Deno.test("a broken connection is taken up where it ended", async () => {
  const handle = (request: SeenRequest, number: number): Answer => {
    const answer = { headers: { etag: '"one"' }, ...fileAnswer(request, FILE) };
    return number < 3 ? { ...answer, cutAfter: 140_000 } : answer;
  };
  await withServer(handle, async (fetch, _host, seen) => {
    assertEquals(await fetch(), FILE);
    // What had come but not been read when the connection broke may be asked for once more.
    const [first = -1, second = -1, third = -1] = seen.map((request) => request.offset);
    assert(first === 0 && second > 0 && second <= 140_000, `${second}`);
    assert(third > second && third <= second + 140_000, `${third}`);
    assertEquals(seen.map((request) => request.headers.get("if-range")), [null, '"one"', '"one"']);
  });
});

Deno.test("what an earlier run left is resumed", async () => {
  await withServer((request) => fileAnswer(request, FILE), async (fetch, host, seen) => {
    Deno.mkdirSync(join(host.paths.stage, "download"));
    Deno.writeFileSync(
      join(host.paths.stage, "download", `${SHA256}.part`),
      FILE.subarray(0, 250_000),
    );
    assertEquals(await fetch(), FILE);
    assertEquals(seen.map((request) => request.offset), [250_000]);
  });
});

Deno.test("a run that was killed after the last byte asks for nothing", async () => {
  await withServer(() => ({ status: 500 }), async (fetch, host, seen) => {
    Deno.mkdirSync(join(host.paths.stage, "download"));
    Deno.writeFileSync(join(host.paths.stage, "download", `${SHA256}.part`), FILE);
    assertEquals(await fetch(), FILE);
    assertEquals(seen.length, 0);
  });
});

Deno.test("leftovers of another file cost one more download, not the upgrade", async () => {
  await withServer((request) => fileAnswer(request, FILE), async (fetch, host, seen) => {
    Deno.mkdirSync(join(host.paths.stage, "download"));
    const path = join(host.paths.stage, "download", `${SHA256}.part`);
    Deno.writeFileSync(path, noise(400_000, 2));
    assertEquals(await fetch(), FILE);
    assertEquals(seen.map((request) => request.offset), [400_000, 0]);
  });
});

Deno.test("a server that ignores ranges is taken from the start", async () => {
  const handle = (_: SeenRequest, number: number): Answer =>
    number === 1 ? { body: FILE, cutAfter: 1000 } : { body: FILE };
  await withServer(handle, async (fetch) => assertEquals(await fetch(), FILE));
});

Deno.test("a server that stalls is left and asked again", async () => {
  const never = Promise.withResolvers<void>();
  const handle = (request: SeenRequest, number: number): Answer => {
    const answer = fileAnswer(request, FILE);
    return number === 1 ? { ...answer, holdAfter: 1000, until: never.promise } : answer;
  };
  await withServer(handle, async (fetch, _host, seen) => {
    assertEquals(await fetch({ limits: { ...QUICK, stallMs: 300 } }), FILE);
    assertEquals(seen.map((request) => request.offset).slice(0, 2), [0, 1000]);
    never.resolve();
  });
});

Deno.test("a wrong sha256 names both, and leaves nothing", async () => {
  await withServer((request) => fileAnswer(request, FILE), async (fetch, host) => {
    const want = "0".repeat(64);
    const error = await assertRejects(() => fetch({ sha256: want }), InvalidBundleError);
    assertEquals(error.message, `sha256 mismatch (got ${SHA256}, want ${want})`);
    assertEquals(host.names("download"), []);
  });
});

Deno.test("a connection that always ends early is given up, and what came is kept", async () => {
  const handle = (request: SeenRequest, number: number): Answer => ({
    ...fileAnswer(request, FILE),
    cutAfter: number === 1 ? 1000 : 0,
  });
  await withServer(handle, async (fetch, host, seen) => {
    const error = await assertRejects(() => fetch(), OngridError);
    assertStringIncludes(describeError(error).message, "stream");
    const fruitless = seen.length - QUICK.fruitlessAttempts;
    assert(fruitless === 0 || fruitless === 1, `${seen.length} attempts`);
    assertEquals(host.names("download"), [`${SHA256}.part`]);
  });
});

Deno.test("a missing file is not asked for again", async () => {
  await withServer(() => ({ status: 404 }), async (fetch, _host, seen) => {
    const error = await assertRejects(() => fetch(), OngridError);
    assertEquals(error.message, "get: status 404");
    assertEquals(seen.length, 1);
  });
});

Deno.test("a server that is busy for a moment is asked again", async () => {
  const handle = (request: SeenRequest, number: number): Answer =>
    number < 3 ? { status: 503 } : fileAnswer(request, FILE);
  await withServer(handle, async (fetch) => assertEquals(await fetch(), FILE));
});

Deno.test("more bytes than allowed are refused, announced or not", async () => {
  const limits = { ...QUICK, maxBytes: FILE.length - 1 };
  await withServer((request) => fileAnswer(request, FILE), async (fetch) => {
    const error = await assertRejects(() => fetch({ limits }), InvalidBundleError);
    assertEquals(
      error.message,
      `bundle too large (${FILE.length} bytes, limit ${limits.maxBytes})`,
    );
  });
  const silent = () => ({ body: FILE, headers: { "content-length": undefined } });
  await withServer(silent, async (fetch, host) => {
    const error = await assertRejects(() => fetch({ limits }), InvalidBundleError);
    assertStringIncludes(error.message, "bundle too large");
    assertEquals(host.names("download"), []);
  });
});

Deno.test("too little space is said before the first byte", async () => {
  await withServer((request) => fileAnswer(request, FILE), async (fetch, host, seen) => {
    const effects = quickEffects({ freeBytes: () => FILE.length });
    const error = await assertRejects(() => fetch({ effects }), OngridError);
    assertStringIncludes(error.message, "not enough space");
    assertEquals(seen.length, 1);
    assertEquals(Deno.statSync(join(host.paths.stage, "download", `${SHA256}.part`)).size, 0);
  });
});

Deno.test("an aborted download ends at once with the reason, and can be resumed", async () => {
  const never = Promise.withResolvers<void>();
  const abort = new AbortController();
  const handle = (request: SeenRequest): Answer => ({
    ...fileAnswer(request, FILE),
    holdAfter: 1000,
    until: never.promise,
  });
  await withServer(handle, async (fetch, host) => {
    const onProgress = () => abort.abort(new OngridError("dropped"));
    const error = await assertRejects(
      () => fetch({ signal: abort.signal, onProgress }),
      OngridError,
    );
    assertEquals(error.message, "dropped");
    assertEquals(Deno.statSync(join(host.paths.stage, "download", `${SHA256}.part`)).size, 1000);
    never.resolve();
  });
});

Deno.test("redirects are followed, a loop of them is not", async () => {
  const handle = (request: SeenRequest): Answer => {
    if (request.path === "/file") return { status: 302, headers: { location: "/moved" } };
    return fileAnswer(request, FILE);
  };
  await withServer(handle, async (fetch) => assertEquals(await fetch(), FILE));
  const loop = () => ({ status: 302, headers: { location: "/file" } });
  await withServer(loop, async (fetch) => {
    const error = await assertRejects(() => fetch(), OngridError);
    assertStringIncludes(describeError(error).message, "redirects");
  });
});

Deno.test("nobody listening is an error that says so", async () => {
  using host = new TestHost();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const error = await assertRejects(() =>
    download({
      url: `http://127.0.0.1:${port}/file`,
      sha256: SHA256,
      directory: join(host.paths.stage, "download"),
      openUrl: createOpener(),
      limits: QUICK,
      effects: quickEffects(),
      signal: new AbortController().signal,
    }), OngridError);
  assert(describeError(error).message.startsWith("get: "), describeError(error).message);
});

Deno.test("a server that sends ranges in slices is asked until the file is whole", async () => {
  const handle = (request: SeenRequest, number: number): Answer => {
    if (number === 1) return { body: FILE, cutAfter: 1000 };
    const end = Math.min(request.offset + 70_000, FILE.length);
    return {
      status: 206,
      headers: { "content-range": `bytes ${request.offset}-${end - 1}/${FILE.length}` },
      body: FILE.subarray(request.offset, end),
    };
  };
  await withServer(handle, async (fetch, _host, seen) => {
    assertEquals(await fetch(), FILE);
    assertEquals(seen.length, 1 + Math.ceil((FILE.length - 1000) / 70_000));
  });
});

Deno.test("a redirect that leads nowhere is not tried again", async () => {
  for (const location of ["file:///etc/passwd", "http://", "/again"]) {
    await withServer(() => ({ status: 302, headers: { location } }), async (fetch, _host, seen) => {
      const error = await assertRejects(() => fetch(), OngridError);
      assertStringIncludes(describeError(error).message, "redirect");
      assert(seen.length <= 6, `${seen.length} requests for ${location}`);
    });
  }
});

Deno.test("a connection that breaks for good is told with how far it came", async () => {
  await withServer((request) => ({ ...fileAnswer(request, FILE), cutAfter: 0 }), async (fetch) => {
    const error = await assertRejects(() => fetch(), OngridError);
    assertStringIncludes(error.message, "stream: connection broke after 0 bytes");
  });
});
