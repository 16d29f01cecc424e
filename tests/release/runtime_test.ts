import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { TarStream, type TarStreamInput } from "@std/tar";
import { join } from "@std/path";
import { OngridError } from "../../lib/cli/errors.ts";
import {
  extractBinary,
  npmPack,
  placeRuntime,
  RUNTIME_VERSION,
} from "../../lib/release/runtime.ts";
import { hostTarget, TARGETS } from "../../lib/release/targets.ts";

const [OTHER = "linux-arm64"] = TARGETS.filter((target) => target !== hostTarget());

Deno.test("the runtime of this machine is the Deno that builds", async () => {
  await using place = new Place();
  const path = place.at("ongrid-runtime");
  for (let round = 0; round < 2; round++) {
    await placeRuntime({ ...place.options, target: hostTarget(), path });
    const { stdout } = await new Deno.Command(path, { args: ["--version"] }).output();
    assertStringIncludes(new TextDecoder().decode(stdout), `deno ${RUNTIME_VERSION}`);
  }
  assertEquals(place.names(), ["ongrid-runtime"]);
});

Deno.test("the runtime of another target comes from its npm package, once", async () => {
  await using place = new Place();
  const asked: string[] = [];
  const fetchPackage = async (specifier: string, directory: string) => {
    asked.push(specifier);
    return await writePackage(join(directory, "p.tgz"), {
      "package/package.json": "{}",
      "package/deno": "runtime\n",
    });
  };
  for (const name of ["a", "b"]) {
    await placeRuntime({ ...place.options, target: OTHER, path: place.at(name), fetchPackage });
    assertEquals(Deno.readTextFileSync(place.at(name)), "runtime\n");
    assertEquals((Deno.statSync(place.at(name)).mode ?? 0) & 0o777, 0o755);
  }
  assertEquals(asked.length, 1);
  assertStringIncludes(asked[0] ?? "", `@${RUNTIME_VERSION}`);
  assertEquals([...Deno.readDirSync(place.at("cache"))].length, 1);
});

Deno.test("a registry without that version is named as the cause, with what can be done", async () => {
  await using place = new Place();
  const npm = place.script("npm", `echo "npm error notarget No matching version" >&2; exit 1`);
  const error = await assertRejects(() => npmPack("@deno/x@1", place.at("."), npm), OngridError);
  assertEquals(error.message, "Cannot fetch @deno/x@1 from npm");
  assertStringIncludes(String(error.cause), "No matching version");
  assertStringIncludes(error.hint ?? "", "registry");
});

Deno.test("a machine without npm is told so", async () => {
  await using place = new Place();
  const attempt = () => npmPack("@deno/x@1", place.at("."), place.at("absent/npm"));
  const error = await assertRejects(attempt, OngridError, "Cannot fetch @deno/x@1");
  assertStringIncludes(error.hint ?? "", "Install npm");
});

Deno.test("a package without the binary is refused", async () => {
  await using place = new Place();
  const tarball = await writePackage(place.at("p.tgz"), { "package/deno.txt": "no" });
  await assertRejects(() => extractBinary(tarball, place.at("x")), OngridError, "package/deno");
});

class Place implements AsyncDisposable {
  readonly #root = Deno.makeTempDirSync({ prefix: "ongrid-runtime-" });

  readonly options = { cacheDirectory: this.at("cache"), info: () => {} };

  at(path: string): string {
    return join(this.#root, path);
  }

  script(name: string, body: string): string {
    Deno.writeTextFileSync(this.at(name), `#!/bin/sh\n${body}\n`);
    Deno.chmodSync(this.at(name), 0o755);
    return this.at(name);
  }

  names(): string[] {
    return [...Deno.readDirSync(this.#root)].map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#root, { recursive: true });
  }
}

async function writePackage(path: string, files: Record<string, string>): Promise<string> {
  const inputs = Object.entries(files).map(([name, text]): TarStreamInput => {
    const bytes = new TextEncoder().encode(text);
    return { type: "file", path: name, size: bytes.length, readable: ReadableStream.from([bytes]) };
  });
  const file = await Deno.create(path);
  await ReadableStream.from(inputs)
    .pipeThrough(new TarStream())
    .pipeThrough(new CompressionStream("gzip"))
    .pipeTo(file.writable);
  return path;
}
