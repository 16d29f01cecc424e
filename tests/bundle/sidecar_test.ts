import { assert, assertEquals, assertThrows } from "@std/assert";
import { ForeignFileError, InvalidBundleError } from "../../lib/cli/errors.ts";
import {
  bundleFileName,
  isEdgeArch,
  parseBundleFileName,
  parseSidecar,
  readSidecar,
  sidecarPath,
  writeSidecar,
} from "../../lib/bundle/sidecar.ts";

const SHA = "0123456789abcdef".repeat(4);

Deno.test("a bundle's name leads back to architecture and version", () => {
  for (const arch of ["linux-amd64", "linux-arm64"] as const) {
    for (const version of ["v0.7.160", "1.0.0-rc.1", "1"]) {
      const name = bundleFileName({ arch, version });
      assertEquals(name, `edge-bundle-${arch}-${version}.tar.gz`);
      assertEquals(parseBundleFileName(name), { arch, version });
    }
  }
});

Deno.test("other names are not taken for bundles", () => {
  const others = [
    "edge-bundle-linux-amd64-v1.tar.gz.sha256",
    "edge-bundle-linux-amd64-.tar.gz",
    "edge-bundle-linux-amd64-latest.tar.gz",
    "edge-bundle-darwin-arm64-v1.tar.gz",
    "edge-bundle-linux-riscv64-v1.tar.gz",
    "edge-bundle-linux-amd64-v1/../../x.tar.gz",
    "edge-bundle-linux-amd64-v1.tar",
    ".edge-bundle-linux-amd64-v1.tar.gz",
    "ongrid-edge",
  ];
  for (const name of others) assertEquals(parseBundleFileName(name), undefined, name);
  assert(!isEdgeArch("darwin-arm64"));
});

Deno.test("a sidecar may hold the hash alone or as sha256sum writes it", () => {
  const forms = [SHA, `${SHA}\n`, `${SHA}  a.tar.gz\n`, `${SHA} *a.tar.gz`, SHA.toUpperCase()];
  for (const text of forms) assertEquals(parseSidecar(text), SHA);
});

Deno.test("a sidecar without a hash in front is refused", () => {
  for (const text of ["", "\n", SHA.slice(1), `${SHA}0`, `SHA256 (a) = ${SHA}`, ` ${SHA}`]) {
    assertThrows(() => parseSidecar(text), InvalidBundleError, "64 hex digits");
  }
});

Deno.test("a sidecar is written as 64 digits and a newline, and read back", () => {
  const dir = Deno.makeTempDirSync();
  try {
    const bundle = `${dir}/${bundleFileName({ arch: "linux-amd64", version: "v1" })}`;
    assertEquals(readSidecar(bundle), undefined);
    writeSidecar(bundle, SHA);
    assertEquals(Deno.readTextFileSync(sidecarPath(bundle)), `${SHA}\n`);
    assertEquals((Deno.statSync(sidecarPath(bundle)).mode ?? 0) & 0o777, 0o644);
    assertEquals(readSidecar(bundle), SHA);
    assertEquals([...Deno.readDirSync(dir)].length, 1);
    Deno.writeTextFileSync(sidecarPath(bundle), "nothing\n");
    assertThrows(() => readSidecar(bundle), InvalidBundleError, sidecarPath(bundle));
    Deno.removeSync(sidecarPath(bundle));
    Deno.symlinkSync("/etc/hostname", sidecarPath(bundle));
    assertThrows(() => readSidecar(bundle), ForeignFileError);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
