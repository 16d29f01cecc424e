import { assert, assertEquals } from "@std/assert";
import { fixtureContent } from "../support/bundle_fixture.ts";
import { concat, END, entry, gnuName, gzip, header, latin1, pax } from "../support/raw_tar.ts";
import {
  AGENT,
  contentsOf,
  manifestLine,
  Sandbox,
  soundEntries,
  VERSION,
  withEntries,
} from "./stage_support.ts";

const LIB = "/usr/local/lib/ongrid-edge";

/** The archive is accepted and its agent is there. */
async function accepts(bytes: Uint8Array): Promise<void> {
  using sandbox = new Sandbox();
  await sandbox.stage(bytes);
  assertEquals(Deno.readTextFileSync(`${sandbox.staged}/ongrid-edge`), AGENT);
}

/** An archive whose agent comes by these entries. */
function agentBy(...agent: Uint8Array[]): Uint8Array {
  const own = contentsOf({ "MANIFEST.txt": manifestLine("ongrid-edge", AGENT), VERSION });
  return gzip(concat(own, ...agent, END));
}

const accepted: [promise: string, bytes: () => Uint8Array][] = [
  ["plain USTAR", () => agentBy(entry({ name: "ongrid-edge" }, AGENT))],
  ["a leading ./", () => agentBy(entry({ name: "./ongrid-edge" }, AGENT))],
  ["the GNU magic", () => agentBy(entry({ name: "ongrid-edge", magic: "ustar  \0" }, AGENT))],
  [
    "no magic, as before POSIX",
    () => agentBy(entry({ name: "ongrid-edge", type: "\0", magic: "" }, AGENT)),
  ],
  ["a USTAR prefix of ./", () => agentBy(entry({ name: "ongrid-edge", prefix: "." }, AGENT))],
  ["a GNU long name", () => agentBy(gnuName("ongrid-edge"), entry({ name: "ongrid" }, AGENT))],
  [
    "a GNU long name before a name cut inside a letter",
    () => agentBy(gnuName("./ongrid-edge"), entry({ name: latin1("ong\xc3") }, AGENT)),
  ],
  ["a PAX path", () => agentBy(pax({ path: "ongrid-edge" }), entry({ name: "x" }, AGENT))],
  [
    "a PAX path before a name cut inside a letter",
    () => agentBy(pax({ path: "ongrid-edge" }), entry({ name: latin1("ong\xc3") }, AGENT)),
  ],
  [
    "a PAX size equal to the header's",
    () => agentBy(pax({ size: String(AGENT.length) }), entry({ name: "ongrid-edge" }, AGENT)),
  ],
  [
    "a PAX size where the header has none",
    () =>
      agentBy(pax({ size: String(AGENT.length) }), entry({ name: "ongrid-edge", size: 0 }, AGENT)),
  ],
  [
    "PAX times, owners and comments",
    () =>
      agentBy(
        pax({
          mtime: "1700000000.123",
          uname: "jürgen",
          comment: "a=b\nc",
          "SCHILY.xattr.user.x": "1",
        }),
        entry({ name: "ongrid-edge" }, AGENT),
      ),
  ],
  [
    "a global PAX comment",
    () => agentBy(pax({ comment: "0123" }, "g"), entry({ name: "ongrid-edge" }, AGENT)),
  ],
  [
    "a base-256 size",
    () => agentBy(entry({ name: "ongrid-edge", size: base256(AGENT.length) }, AGENT)),
  ],
  [
    "a size with spaces in front",
    () => agentBy(entry({ name: "ongrid-edge", size: octal(AGENT.length) }, AGENT)),
  ],
  ["the root directory as ./", () => withEntries(entry({ name: "./", type: "5" }))],
  ["the root directory as .", () => withEntries(entry({ name: ".", type: "5" }))],
  ["a directory before POSIX", () => withEntries(header({ name: "d/", type: "\0", magic: "" }))],
  [
    "a directory after a file in it",
    () => withEntries(contentsOf({ "d/x": "" }), entry({ name: "d", type: "5" })),
  ],
  [
    "half a mebibyte of zeros after the end",
    () => gzip(concat(soundEntries(), END, new Uint8Array(1 << 19))),
  ],
];

for (const [promise, bytes] of accepted) {
  Deno.test(`accepted: ${promise}`, () => accepts(bytes()));
}

/** A name that needs a long name in GNU, a prefix in USTAR, and is cut inside a letter. */
const LONG = `${"verzeichnis-".repeat(7)}ä/${"grüße-".repeat(9)}x`;

for (const format of ["gnu", "pax", "ustar", "v7"]) {
  Deno.test(`archives of the installed tar are accepted: --format=${format}`, async () => {
    using sandbox = new Sandbox();
    const source = `${sandbox.dir}/source`;
    Deno.mkdirSync(`${source}/sub`, { recursive: true });
    const names = ["ongrid-edge", "promtail", ...(format === "v7" ? [] : [LONG])];
    const lines = names.map((name, i) => {
      const content = fixtureContent(name, VERSION);
      Deno.mkdirSync(`${source}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      Deno.writeTextFileSync(`${source}/${name}`, content);
      return manifestLine(name, content).replace(/ \S*$/m, ` ${LIB}/file${i}`);
    });
    Deno.writeTextFileSync(`${source}/MANIFEST.txt`, lines.join(""));
    Deno.writeTextFileSync(`${source}/VERSION`, `${VERSION}\n`);
    const archive = `${sandbox.dir}/made.tar.gz`;
    await run("tar", ["-C", source, `--format=${format}`, "-czf", archive, "."]);
    const staged = await sandbox.stage(Deno.readFileSync(archive));
    assertEquals(staged.manifestFiles, names.length);
    for (const name of names) {
      const content = Deno.readTextFileSync(`${sandbox.staged}/${name}`);
      assertEquals(content, fixtureContent(name, VERSION));
    }
  });
}

function base256(size: number): Uint8Array {
  const field = new Uint8Array(12);
  field[0] = 0x80;
  new DataView(field.buffer).setUint32(8, size);
  return field;
}

function octal(size: number): string {
  return `${size.toString(8).padStart(11, " ")} `;
}

async function run(command: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stdout: "null" }).output();
  assert(success, new TextDecoder().decode(stderr));
}
