import { concat, entry, gnuName, header, latin1, pax, paxRecord } from "../support/raw_tar.ts";
import { type Hostile, testHostile } from "./stage_support.ts";

const file = (name: string) => entry({ name }, "x");

const headers: Hostile[] = [
  ["a wrong checksum", header({ checksumError: 1 }), "wrong checksum"],
  ["an empty checksum", header({ checksumText: "\0\0\0\0\0\0\0\0" }), "wrong checksum"],
  ["a checksum in words", header({ checksumText: "checksum" }), "wrong checksum"],
  ["an unknown format", header({ magic: "ustar 00" }), "unknown tar format"],
  ["random bytes for a header", new Uint8Array(512).fill(0xa5), "wrong checksum"],
  ["a size in words", header({ size: "size        " }), "malformed size"],
  ["a size with a sign", header({ size: "-0000000001\0" }), "malformed size"],
  ["an empty size", header({ size: "\0".repeat(12) }), "malformed size"],
  ["digits after the size's end", header({ size: "0000001\x0000001" }), "malformed size"],
  ["a negative base-256 size", header({ size: new Uint8Array(12).fill(0xff) }), "malformed size"],
  [
    "a base-256 size beyond 2^53",
    header({ size: latin1("\x80\0\0\0\0\x20\0\0\0\0\0\0") }),
    "malformed size",
  ],
  [
    "a base-256 size of 2 GiB",
    header({ size: latin1("\x80\0\0\0\0\0\0\0\x80\0\0\0") }),
    "too large",
  ],
  ["an octal size of 8 GiB", header({ size: "777777777777" }), "bundle too large"],
  [
    "a directory with content",
    header({ name: "d", type: "5", size: 512 }),
    "directory with content",
  ],
];

const extensions: Hostile[] = [
  ["a PAX size other than the header's", [pax({ size: "0" }), file("x")], "PAX size differs"],
  ["a negative PAX size", [pax({ size: "-1" }), file("x")], "malformed PAX size"],
  ["a PAX size in hex", [pax({ size: "0x1" }), file("x")], "malformed PAX size"],
  ["a PAX size beyond 2^53", [pax({ size: "9".repeat(16) }), file("x")], "PAX size"],
  ["a PAX size of 2 GiB", [pax({ size: "2147483648" }), header({ size: 0 })], "bundle too large"],
  [
    "a PAX size for a directory",
    [pax({ size: "512" }), entry({ name: "d", type: "5" })],
    "PAX size differs",
  ],
  [
    "two PAX paths in one header",
    [entry({ type: "x" }, concat(paxRecord("path", "a"), paxRecord("path", "b"))), file("x")],
    "PAX path given twice",
  ],
  [
    "two PAX sizes in one header",
    [entry({ type: "x" }, concat(paxRecord("size", "1"), paxRecord("size", "1"))), file("x")],
    "PAX size given twice",
  ],
  [
    "a PAX record too long",
    [entry({ type: "x" }, "99 path=a\n"), file("x")],
    "malformed PAX record",
  ],
  [
    "a PAX record too short",
    [entry({ type: "x" }, "6 path=a\n"), file("x")],
    "malformed PAX record",
  ],
  ["a PAX record without a length", [entry({ type: "x" }, "path=a\n"), file("x")], "malformed PAX"],
  ["a PAX record of length 0", [entry({ type: "x" }, "0 path=a\n"), file("x")], "malformed PAX"],
  ["a PAX record without a key", [entry({ type: "x" }, "5 =a\n"), file("x")], "malformed PAX"],
  ["a PAX record without =", [entry({ type: "x" }, "5 ab\n"), file("x")], "malformed PAX record"],
  [
    "a PAX header of 65 KiB",
    [pax({ comment: "x".repeat(66_000) }), file("x")],
    "extension header of",
  ],
  ["an empty PAX header", [header({ type: "x" }), file("x")], "extension header of 0"],
  ["two PAX headers", [pax({ path: "a" }), pax({ path: "b" }), file("x")], "two extension headers"],
  ["a PAX header and a GNU name", [gnuName("a"), pax({ path: "b" }), file("x")], "two extension"],
  ["a global PAX path", [pax({ path: "a" }, "g"), file("x")], "global PAX header"],
  ["a global PAX size", [pax({ size: "1" }, "g"), file("x")], "global PAX header"],
  ["a PAX header without an entry", pax({ path: "a" }), "extension header without an entry"],
  [
    "forty mebibytes of PAX comments",
    Array.from({ length: 640 }, () => pax({ comment: "x".repeat(65_000) }, "g")),
    "too many extension headers",
  ],
];

testHostile([...headers, ...extensions]);
