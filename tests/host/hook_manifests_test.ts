import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { Prng } from "../bundle/prng.ts";
import { generate } from "./support/bundle_generator.ts";
import { type Expected, referenceJudge } from "./support/bundle_reference.ts";
import { builtHook } from "./support/built_hook.ts";
import { EdgeHost } from "./support/edge_host.ts";
import { forEach } from "./support/pool.ts";
import { run } from "./support/process.ts";
import { timed } from "./support/report.ts";
import { hostTest } from "./support/requirements.ts";
import { Scratch } from "./support/scratch.ts";
import { differences, look } from "./support/tree.ts";

const BUNDLES = 200;

function expectTaken(host: EdgeHost, expected: Expected, what: string): void {
  for (const [target, { sha256, mode }] of expected) {
    const found = createHash("sha256").update(Deno.readFileSync(target)).digest("hex");
    assertEquals(found, sha256, `${target}: ${what}`);
    assertEquals((Deno.statSync(target).mode ?? 0) & 0o7777, mode, `${target}: ${what}`);
  }
  assertEquals(host.record("rollback.json"), undefined, what);
}

hostTest({
  name: "generated bundles are taken or refused as a slow reference judges them",
  needs: ["root", "tmpfs"],
  run: () =>
    timed("generated bundles", async () => {
      const { hook } = await builtHook();
      const seed = Prng.seed();
      using scratch = new Scratch();
      let taken = 0;
      const seeds = Array.from({ length: BUNDLES }, (_, n) => seed + n);
      await forEach(seeds, async (own) => {
        const host = new EdgeHost(scratch.directory(String(own)));
        const { twists, manifest } = generate(host, new Prng(own));
        const expected = referenceJudge(host);
        const places = [host.bin, host.lib] as const;
        const before = places.map((place) => look(place));
        const { code, stderr } = await run(host.start(hook));
        const what = `ONGRID_TEST_SEED=${own}, first bundle: ${twists.join(", ")}\n` +
          `${manifest}${stderr}`;
        assertEquals(code, 0, what);
        if (expected) {
          taken += 1;
          expectTaken(host, expected, what);
        } else {
          assertEquals(host.record("rollback.json")?.state, "refused", what);
          const changed = places.flatMap((place, n) => differences(look(place), before[n] ?? {}));
          // What an earlier run of an upgrade left beside one of its own names may go.
          const foreign = changed.filter((line) => !line.startsWith("promtail.new: absent"));
          assertEquals(foreign, [], what);
        }
        const left = Object.keys(look(host.root)).filter((path) =>
          /^state\/\.upgrade\/incoming|^root-state\/(claimed\/|attempts|journal)/.test(path)
        );
        assertEquals(left, [], what);
        Deno.removeSync(host.root, { recursive: true });
      });
      const share = `${taken} of ${BUNDLES} taken, ONGRID_TEST_SEED=${seed}`;
      assert(taken > BUNDLES / 5 && taken < (BUNDLES * 4) / 5, share);
      return share;
    }),
});
