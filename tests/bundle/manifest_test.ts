import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { InvalidBundleError, UsageError } from "../../lib/cli/errors.ts";
import {
  CANONICAL_ROOTS,
  MAX_MANIFEST_BYTES,
  MAX_MANIFEST_ENTRIES,
  parseManifest,
} from "../../lib/bundle/manifest.ts";

const SHA = "a".repeat(64);
const LIB = "/usr/local/lib/ongrid-edge";
const GOOD = `${SHA} 0755 promtail ${LIB}/promtail`;

function parse(text: string | Uint8Array) {
  return parseManifest(text, CANONICAL_ROOTS);
}

/** The manifest is refused with these words; a `line` also with its number. */
function refuses(text: string | Uint8Array, words: string, line?: number): void {
  const { message } = assertThrows(() => parse(text), InvalidBundleError);
  assertStringIncludes(message, words);
  if (line !== undefined) assert(message.startsWith(`MANIFEST.txt line ${line}: `), message);
}

/** One line with some fields replaced. */
function line({ sha = SHA, mode = "0755", src = "agent", dest = "/usr/local/bin/agent" }): string {
  return `${sha} ${mode} ${src} ${dest}`;
}

Deno.test("a manifest of the shell tooling is accepted", () => {
  const text = [
    "# ADR-024 bundle manifest",
    "# fields: sha256  mode  src_in_bundle  dest_path",
    `${"b".repeat(64)}  0755  ongrid-edge  /usr/local/bin/ongrid-edge`,
    `${SHA}  0755  promtail  ${LIB}/promtail`,
    "",
  ].join("\n");
  assertEquals(parse(text), {
    entries: [
      {
        sha256: "b".repeat(64),
        mode: 0o755,
        src: "ongrid-edge",
        dest: "/usr/local/bin/ongrid-edge",
        target: "/usr/local/bin/ongrid-edge",
      },
      {
        sha256: SHA,
        mode: 0o755,
        src: "promtail",
        dest: `${LIB}/promtail`,
        target: `${LIB}/promtail`,
      },
    ],
    probes: [],
  });
});

Deno.test("blank lines, indented comments, tabs and a missing last newline are accepted", () => {
  const text = `\n  # note\n\t${SHA}\t644 \t./a/b  /usr/local/bin/b  \n\n`;
  const [entry] = parse(text).entries;
  assertEquals([entry?.mode, entry?.src, entry?.target], [0o644, "a/b", "/usr/local/bin/b"]);
  assertEquals(parse(GOOD).entries.length, 1);
  assertEquals(parse(new TextEncoder().encode(GOOD)).entries.length, 1);
});

Deno.test("an upper-case sha256 is accepted and lowered", () => {
  assertEquals(parse(line({ sha: "AB".repeat(32) })).entries[0]?.sha256, "ab".repeat(32));
});

Deno.test("a sha256 that is not 64 hex digits is refused", () => {
  for (const sha of ["a".repeat(63), "a".repeat(65), "g".repeat(64), `0x${"a".repeat(62)}`, "-"]) {
    refuses(`# c\n${line({ sha })}`, "sha256 is not 64 hex digits", 2);
  }
});

Deno.test("a mode that is not three octal digits is refused, set-id bits included", () => {
  for (const mode of ["0999", "75", "4755", "04755", "00755", "1755", "u+x", "0x1ed", "07555"]) {
    refuses(line({ mode }), "mode is not three octal digits", 1);
  }
});

Deno.test("an absolute src is refused", () => {
  refuses(line({ src: "/etc/passwd" }), "src is absolute", 1);
  refuses(line({ src: ".//etc/passwd" }), "src is absolute", 1);
});

Deno.test('a src that contains ".." is refused', () => {
  for (const src of ["../a", "a/../b", "..", "a..b", "a/.."]) refuses(line({ src }), '".."', 1);
});

Deno.test('a src with ".", "//" or a slash at the end is refused', () => {
  for (const src of ["a/./b", "a//b", "a/", "./", "././a", "."]) {
    refuses(line({ src }), "src has", 1);
  }
});

Deno.test("a src that is named twice is refused, also as ./src", () => {
  for (const src of ["promtail", "./promtail"]) {
    refuses(`${GOOD}\n${line({ src })}`, "src is named twice", 2);
  }
});

Deno.test("a src that is one of the bundle's own names is refused", () => {
  for (const src of ["MANIFEST.txt", "VERSION", "MANIFEST.txt.minisig", "./VERSION", "VERSION/a"]) {
    refuses(line({ src }), "reserved", 1);
  }
});

Deno.test("configuration files are refused by src and by dest", () => {
  for (
    const name of ["promtail.yaml", "otelcol.yaml", "a.yml", "A.YAML", "x.conf", "x.env", ".env"]
  ) {
    refuses(line({ src: name }), "configuration", 1);
    refuses(line({ dest: `${LIB}/${name}` }), "configuration", 1);
  }
  refuses(line({ dest: "/etc/ongrid-edge/agent" }), "/etc", 1);
  refuses(line({ dest: "/etc" }), "/etc", 1);
});

Deno.test("a dest outside the managed directories is refused", () => {
  const outside = [
    "/usr/bin/agent",
    "/usr/local/bin",
    "/usr/local/binary/agent",
    LIB,
    "/usr/local/lib/agent",
    "/tmp/usr/local/bin/agent",
    "/",
  ];
  for (const dest of outside) refuses(line({ dest }), "dest", 1);
  refuses(line({ dest: "agent" }), "dest is not absolute", 1);
  refuses(line({ dest: "usr/local/bin/agent" }), "dest is not absolute", 1);
});

Deno.test('a dest with "..", ".", "//" or a slash at the end is refused', () => {
  for (const tail of ["../x", "a/../x", "..", "./x", "a/.", "/x", "a//x", "a/", ""]) {
    refuses(line({ dest: `/usr/local/bin/${tail}` }), "dest", 1);
  }
});

Deno.test("a dest that ends in .new or .previous is refused", () => {
  for (const tail of ["agent.new", "agent.previous", "x.new/agent", ".previous"]) {
    refuses(line({ dest: `/usr/local/bin/${tail}` }), ".previous", 1);
  }
  assertEquals(parse(line({ dest: "/usr/local/bin/agent.newer" })).entries.length, 1);
});

Deno.test("a dest that is named twice is refused", () => {
  const dest = `${LIB}/promtail`;
  refuses(`${GOOD}\n${line({ dest })}`, "dest is named twice", 2);
});

Deno.test("a file inside another file is refused, as src and as dest", () => {
  refuses(`${GOOD}\n${line({ dest: `${LIB}/promtail/agent` })}`, "dest lies inside another");
  refuses(`${GOOD}\n${line({ src: "promtail/agent" })}`, "src lies inside another");
});

Deno.test("a manifest without files is refused", () => {
  for (const text of ["", "\n\n", "# only\n# comments\n"]) {
    refuses(text, "manifest declared zero files");
  }
});

Deno.test("a line of more or fewer than four fields is refused", () => {
  for (const text of [SHA, `${SHA} 0755 a`, `${GOOD} extra`, `${GOOD} # note`, `*${GOOD} x`]) {
    refuses(text, "malformed manifest line", 1);
  }
});

Deno.test("control characters are refused anywhere, in comments and as line ends too", () => {
  for (const bad of ["\0", "\r", "\x1b[2J", "\v", "\f", "\x7f", "\u0085"]) {
    refuses(`# note${bad}\n${GOOD}`, "control character", 1);
    refuses(`${GOOD}${bad}\n`, "control character", 1);
    refuses(line({ src: `a${bad}b` }), "control character", 1);
  }
});

Deno.test("white space that readers see differently is refused in names", () => {
  for (const bad of ["\u00a0", "\u2003", "\u3000", "\u2028", "\u200b", "\u202e", "\ufeff"]) {
    refuses(line({ src: `a${bad}b` }), "invisible", 1);
    refuses(line({ dest: `/usr/local/bin/a${bad}b` }), "invisible", 1);
  }
});

Deno.test("text that is not UTF-8 is refused", () => {
  const bytes = new TextEncoder().encode(`# note \n${GOOD}`);
  bytes[6] = 0xff;
  refuses(bytes, "not valid UTF-8");
  refuses(`# \ud800\n${GOOD}`, "not valid UTF-8");
});

Deno.test("a byte order mark is refused", () => {
  refuses(`\ufeff${GOOD}`, "sha256 is not 64 hex digits", 1);
});

Deno.test("paths too long for the swap's temporary names are refused", () => {
  refuses(line({ dest: `/usr/local/bin/${"x".repeat(201)}` }), "longer than 200 bytes", 1);
  refuses(line({ dest: `/usr/local/bin/${"ä".repeat(101)}` }), "longer than 200 bytes", 1);
  refuses(line({ src: `${"d/".repeat(512)}x` }), "longer than 1024 bytes", 1);
  assertEquals(parse(line({ dest: `/usr/local/bin/${"x".repeat(200)}` })).entries.length, 1);
});

Deno.test("a manifest beyond the limits is refused", () => {
  refuses(new Uint8Array(MAX_MANIFEST_BYTES + 1).fill(0x0a), `larger than ${MAX_MANIFEST_BYTES}`);
  refuses("\n".repeat(MAX_MANIFEST_BYTES), "lines");
  refuses(`#${" ".repeat(5000)}x`, "longer than 4096 characters", 1);
  const many = Array.from(
    { length: MAX_MANIFEST_ENTRIES + 1 },
    (_, i) => line({ src: `s${i}`, dest: `/usr/local/bin/d${i}` }),
  );
  refuses(many.join("\n"), `more than ${MAX_MANIFEST_ENTRIES} files`, MAX_MANIFEST_ENTRIES + 1);
  assertEquals(parse(many.slice(1).join("\n")).entries.length, MAX_MANIFEST_ENTRIES);
});

Deno.test("values in messages are quoted, escaped and cut", () => {
  const { message } = assertThrows(
    () => parse(line({ mode: `"\u202e${"9".repeat(500)}` })),
    InvalidBundleError,
  );
  assert(message.startsWith('MANIFEST.txt line 1: mode is not three octal digits ("'), message);
  assert(message.length < 200, message);
  assertEquals(/^[\x20-\x7e]*$/.test(message), true);
  assertStringIncludes(message, '\\"\\u202e999');
});

Deno.test("canonical destinations go below the directories of this host", () => {
  const roots = { bin: "/tmp/h/bin/", lib: "/tmp/h/lib" };
  const text = [
    line({ src: "a", dest: "/usr/local/bin/ongrid-edge" }),
    line({ src: "b", dest: `${LIB}/sub/promtail` }),
    line({ src: "c", dest: "/tmp/h/bin/own" }),
    line({ src: "d", dest: "/tmp/h/lib/own" }),
  ].join("\n");
  const manifest = parseManifest(text, roots);
  assertEquals(manifest.entries.map(({ target }) => target), [
    "/tmp/h/bin/ongrid-edge",
    "/tmp/h/lib/sub/promtail",
    "/tmp/h/bin/own",
    "/tmp/h/lib/own",
  ]);
  assertEquals(manifest.entries[0]?.dest, "/usr/local/bin/ongrid-edge");
});

Deno.test("two destinations that are one path on this host are refused", () => {
  const roots = { bin: "/tmp/h/bin", lib: "/tmp/h/lib" };
  const text = `${line({ src: "a" })}\n${line({ src: "b", dest: "/tmp/h/bin/agent" })}`;
  assertThrows(() => parseManifest(text, roots), InvalidBundleError, "line 2: dest is named twice");
  const same = { bin: "/tmp/h", lib: "/tmp/h" };
  const other = `${line({ src: "a" })}\n${line({ src: "b", dest: `${LIB}/agent` })}`;
  assertThrows(() => parseManifest(other, same), InvalidBundleError, "line 2: dest is named twice");
});

Deno.test("a destination that is a managed directory itself, or holds one, is refused", () => {
  const roots = { bin: "/tmp/h", lib: "/tmp/h/lib/edge" };
  for (const dest of ["/tmp/h/lib", "/tmp/h/lib/edge", "/usr/local/bin/lib"]) {
    assertThrows(
      () => parseManifest(line({ dest }), roots),
      InvalidBundleError,
      "outside the managed directories",
    );
  }
});

Deno.test("managed directories that are not plain absolute paths are a usage error", () => {
  for (const bin of ["", "/", "bin", "/a/../b", "/a/./b", "/a//b"]) {
    assertThrows(
      () => parseManifest(GOOD, { bin, lib: "/tmp/lib" }),
      UsageError,
      "managed directory",
    );
  }
});
