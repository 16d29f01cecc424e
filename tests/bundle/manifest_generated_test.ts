import { assert, assertEquals } from "@std/assert";
import { InvalidBundleError } from "../../lib/cli/errors.ts";
import { CANONICAL_ROOTS, type ManagedRoots, parseManifest } from "../../lib/bundle/manifest.ts";
import { type ReferenceEntry, referenceParse } from "./manifest_reference.ts";
import { Prng } from "./prng.ts";

const MANIFESTS = 2_000;
const LIB = CANONICAL_ROOTS.lib;
const OWN: ManagedRoots = { bin: "/opt/edge/bin", lib: "/opt/edge/lib" };

/** Damage done to one field; most lines stay as they are, so that accepted manifests are common. */
function damaged(random: Prng, text: string): string {
  const at = random.below(text.length + 1);
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + random.pick(["/", "..", ".", "//", "/../", "/./"]) +
        text.slice(at);
    case 1:
      return text.slice(0, at) + random.pick(["\0", "\r", " ", "\t", "\x1b", "#"]) + text.slice(at);
    case 2:
      return text.slice(0, at) + text.slice(at + 1);
    case 3:
      return text + random.pick([".new", ".previous", ".yaml", ".env", "/", "/x", ".NEW", "x"]);
    case 4:
      return random.pick(["", "VERSION", "/etc/passwd", "MANIFEST.txt", "agent", "..", "./agent"]);
    case 5:
      return random.pick([LIB, "/usr/local/bin", OWN.bin, `${OWN.lib}/own`, `${LIB}/agent`, "/"]);
    case 6:
      return text.toUpperCase();
    default:
      return text + "x".repeat(random.below(300));
  }
}

function manifestLine(random: Prng, n: number): string {
  const name = random.pick(["agent", "promtail", "hook.sh", "a/b", `f${n}`, `f${n}`, `f${n}`]);
  const root = random.pick([LIB, LIB, "/usr/local/bin", OWN.bin]);
  const fields = [
    random.pick(["a", "B", "0"]).repeat(64),
    random.pick(["0755", "755", "0644", "000", "0777"]),
    name,
    `${root}/${random.pick([name, `d${n}`])}`,
  ];
  if (random.below(14) === 0) {
    const at = random.below(fields.length);
    fields[at] = damaged(random, fields[at] ?? "");
  }
  if (random.below(60) === 0) fields.splice(random.below(5), random.below(2), "extra");
  return random.pick(["", "", " "]) + fields.join(random.pick([" ", "  ", "\t"]));
}

function manifestText(random: Prng): string {
  const lines = Array.from({ length: random.below(6) }, (_, n) => manifestLine(random, n));
  if (random.below(3) === 0) lines.splice(random.below(lines.length + 1), 0, "# a note");
  if (random.below(3) === 0) lines.push("");
  if (random.below(5) === 0) lines.push(`# probe: ${random.pick(["agent", "f0", "nothing"])} -v`);
  return lines.join("\n");
}

function parsed(text: string, roots: ManagedRoots): ReferenceEntry[] | undefined {
  try {
    return parseManifest(text, roots).entries
      .map(({ sha256, mode, src, target }) => [sha256, mode, src, target]);
  } catch (e) {
    assert(e instanceof InvalidBundleError, String(e));
    return undefined;
  }
}

Deno.test("generated manifests are judged as a slow reference judges them", () => {
  const seed = Prng.seed();
  const random = new Prng(seed);
  let accepted = 0;
  for (let i = 0; i < MANIFESTS; i++) {
    const text = manifestText(random);
    const roots = random.pick([CANONICAL_ROOTS, OWN]);
    const expected = referenceParse(text, roots);
    const what = `ONGRID_TEST_SEED=${seed}, manifest ${i}: ${JSON.stringify(text)}`;
    assertEquals(parsed(text, roots), expected, what);
    if (expected !== undefined) accepted++;
  }
  const share = `ONGRID_TEST_SEED=${seed}: ${accepted} of ${MANIFESTS} accepted`;
  assert(accepted > MANIFESTS / 5 && accepted < (MANIFESTS * 4) / 5, share);
});
