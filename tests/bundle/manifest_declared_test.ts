import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { InvalidBundleError } from "../../lib/cli/errors.ts";
import {
  CANONICAL_ROOTS,
  checkDeclared,
  formatManifest,
  parseManifest,
} from "../../lib/bundle/manifest.ts";

const LIB = "/usr/local/lib/ongrid-edge";
const GOOD = `${"a".repeat(64)} 0755 promtail ${LIB}/promtail`;

function parse(text: string) {
  return parseManifest(text, CANONICAL_ROOTS);
}

/** The manifest is refused with these words and the number of the line. */
function refuses(text: string, words: string, line: number): void {
  const { message } = assertThrows(() => parse(text), InvalidBundleError);
  assertStringIncludes(message, words);
  assert(message.startsWith(`MANIFEST.txt line ${line}: `), message);
}

Deno.test("version, arch and probes are read from comments", () => {
  const manifest = parse(
    `# version: v0.7.160\n#arch:linux-amd64\n# probe: promtail --version  -x\n${GOOD}\n`,
  );
  assertEquals(manifest.version, "v0.7.160");
  assertEquals(manifest.arch, "linux-amd64");
  assertEquals(manifest.probes, [{ src: "promtail", args: ["--version", "-x"] }]);
});

Deno.test("a probe of a file that the manifest does not name is refused", () => {
  refuses(`# note\n# probe: promtai --version\n${GOOD}`, "probe of a file", 2);
  refuses(`# probe:\n${GOOD}`, "probe of a file", 1);
  refuses(`# probe: /bin/sh -c id\n${GOOD}`, "probe of a file", 1);
});

Deno.test("too many probes are refused", () => {
  refuses(`${GOOD}\n${"# probe: promtail\n".repeat(33)}`, "more than 32 probes", 34);
});

Deno.test("a declaration that is malformed or given twice is refused", () => {
  refuses(`# version: not a version\n${GOOD}`, "declared version", 1);
  refuses(`# version:\n${GOOD}`, "declared version", 1);
  refuses(`# arch: linux/amd64\n${GOOD}`, "declared arch", 1);
  refuses(`# version: v1\n# version: v1\n${GOOD}`, "version is declared twice", 2);
  refuses(`# arch: x1\n# arch: x1\n${GOOD}`, "arch is declared twice", 2);
});

Deno.test("a declared version or arch that differs is refused, an absent one is not", () => {
  const declared = parse(`# version: v1.0.0\n# arch: linux-arm64\n${GOOD}`);
  checkDeclared(declared, { version: "v1.0.0", arch: "linux-arm64" });
  checkDeclared(declared, {});
  checkDeclared(parse(GOOD), { version: "v1.0.0", arch: "linux-arm64" });
  for (const other of [{ version: "1.0.0" }, { version: "V1.0.0" }, { arch: "linux-amd64" }]) {
    assertThrows(() => checkDeclared(declared, other), InvalidBundleError, "declares");
  }
});

Deno.test("what is formatted parses to the same, sorted by src", () => {
  const entries = ["promtail", "Zed", "ongrid-edge"].map((src, i) => ({
    sha256: String(i).repeat(64),
    mode: i === 0 ? 0o4 : 0o755,
    src,
    dest: `${LIB}/${src}`,
  }));
  const probes = [{ src: "ongrid-edge", args: ["version"] }, { src: "Zed", args: [] }];
  const text = formatManifest({ version: "v1.2.3", arch: "linux-amd64", entries, probes });
  const parsed = parse(text);
  assertEquals(parsed.version, "v1.2.3");
  assertEquals(parsed.arch, "linux-amd64");
  assertEquals(parsed.probes, probes);
  assertEquals(parsed.entries.map(({ src }) => src), ["Zed", "ongrid-edge", "promtail"]);
  assertEquals(parsed.entries.map(({ mode }) => mode), [0o755, 0o755, 0o4]);
  assertEquals(formatManifest({ version: "v1.2.3", arch: "linux-amd64", entries, probes }), text);
});
