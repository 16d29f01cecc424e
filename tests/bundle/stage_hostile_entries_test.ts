import { entry, gnuName, header, latin1, pax } from "../support/raw_tar.ts";
import { type Hostile, testHostile } from "./stage_support.ts";

const TYPE = "extract: disallowed tar entry type";
const PATH = "extract: disallowed tar path";

const file = (name: string | Uint8Array) => entry({ name }, "x");
const GNU = "ustar  \0";

const types: Hostile[] = [
  ["a hard link", header({ name: "h", type: "1", linkname: "ongrid-edge" }), `${TYPE}, hard link`],
  ["a hard link out", header({ name: "h", type: "1", linkname: "/etc/passwd" }), TYPE],
  [
    "a symbolic link",
    header({ name: "s", type: "2", linkname: "canary" }),
    `${TYPE}, symbolic link`,
  ],
  [
    "a file through a symbolic link",
    [header({ name: "s", type: "2", linkname: ".." }), file("s/canary")],
    TYPE,
  ],
  ["a character device", header({ name: "d", type: "3" }), `${TYPE}, character device`],
  ["a block device", header({ name: "d", type: "4" }), `${TYPE}, block device`],
  ["a FIFO", header({ name: "f", type: "6" }), `${TYPE}, FIFO`],
  ["a contiguous file", entry({ name: "c", type: "7" }, "x"), `${TYPE}, contiguous file`],
  ["a GNU sparse file", entry({ name: "s", type: "S", magic: GNU }, "x"), `${TYPE}, sparse file`],
  ["a PAX sparse file", [pax({ "GNU.sparse.major": "1" }), file("s")], `${TYPE}, sparse file`],
  ["a GNU long link name", entry({ name: "l", type: "K", magic: GNU }, "/etc/x\0"), TYPE],
  ["a volume label", header({ name: "v", type: "V", magic: GNU }), `${TYPE}, volume label`],
  ["a continued volume", header({ name: "m", type: "M", magic: GNU }), TYPE],
  ["a dump directory", entry({ name: "d", type: "D", magic: GNU }, "x"), TYPE],
  ["an unknown type", header({ name: "u", type: "Z" }), `${TYPE}, type "Z"`],
  ["a Solaris extended header", entry({ name: "X", type: "X" }, "11 path=ab\n"), TYPE],
];

const paths: Hostile[] = [
  ["an absolute name", file("/etc/passwd"), PATH],
  ["an absolute name behind ./", file(".//etc/passwd"), PATH],
  ["a name above the root", file("../canary"), PATH],
  ["a name above the root from below", file("a/../../canary"), PATH],
  ["a name that comes back to the root", file("a/../b"), PATH],
  ["two dots inside a name", file("a..b"), PATH],
  ["two dots as a directory", entry({ name: "..", type: "5" }), PATH],
  ["the root as a file", file("./"), PATH],
  ["a dot as a file", file("."), PATH],
  ["an empty name", file(""), PATH],
  ["an empty name for a directory", entry({ name: "", type: "5" }), PATH],
  ["a slash as a directory", entry({ name: "/", type: "5" }), PATH],
  ["a slash at the end of a file's name", file("a/"), PATH],
  ["an empty segment", file("a//b"), PATH],
  ["a dot segment", file("a/./b"), PATH],
  ["an escape sequence in a name", file("a\x1b[2Jb"), PATH],
  ["a newline in a name", file("a\nb"), PATH],
  ["a name that turns the line around", file("a\u202eb"), PATH],
  ["a name hidden behind a NUL", file(latin1("a\0/../../etc/x")), `${PATH}, NUL`],
  ["a name that is not UTF-8", file(latin1("a\xff")), `${PATH}, not UTF-8`],
  ["a prefix above the root", entry({ name: "canary", prefix: ".." }, "x"), PATH],
  ["an absolute prefix", entry({ name: "x", prefix: "/etc" }, "x"), PATH],
  ["a segment of 201 bytes", [gnuName("n".repeat(201)), file("n")], PATH],
  ["a path of 1025 bytes", [pax({ path: `${"d/".repeat(512)}n` }), file("n")], PATH],
  ["a long name of 2 KiB", [gnuName("n/".repeat(1024)), file("n")], "extension header of"],
  ["a GNU long name above the root", [gnuName("../canary"), file("x")], PATH],
  ["a GNU long name with a NUL inside", [gnuName("a\0b"), file("x")], `${PATH}, malformed`],
  ["an empty GNU long name", [gnuName(""), file("x")], `${PATH}, malformed`],
  ["a PAX path above the root", [pax({ path: "../canary" }), file("x")], PATH],
  ["an absolute PAX path", [pax({ path: "/etc/passwd" }), file("x")], PATH],
  ["a PAX path with a NUL", [pax({ path: "a\0b" }), file("x")], PATH],
  ["an empty PAX path", [pax({ path: "" }), file("x")], "PAX path is empty"],
];

const names: Hostile[] = [
  ["a file twice", file("ongrid-edge"), "duplicate name"],
  ["a file twice, once as ./", file("./ongrid-edge"), "duplicate name"],
  ["a second manifest", entry({ name: "MANIFEST.txt" }, "x"), "duplicate name"],
  ["a directory named as a file", entry({ name: "ongrid-edge", type: "5" }), "duplicate name"],
  ["a file named as a directory", [entry({ name: "d", type: "5" }), file("d")], "duplicate name"],
  ["a directory twice", [1, 2].map(() => entry({ name: "d/", type: "5" })), "duplicate name"],
  ["a file below a file", file("ongrid-edge/x"), "name is a file and a directory"],
  ["a file in the place of a used path", [file("d/x"), file("d")], "duplicate name"],
];

testHostile([...types, ...paths, ...names]);
