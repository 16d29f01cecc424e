import { assertEquals } from "@std/assert";
import { defineCommand, helpText, parseCommand } from "../../lib/cli/args.ts";
import { helpProblems, optionsShown } from "../support/help_check.ts";

const SPEC = defineCommand({
  name: "upgrade",
  summary: "Bring the installed stack to the version of this tarball",
  options: {
    "json": { type: "boolean", help: "Print one JSON object a line" },
    "install-dir": {
      type: "string",
      help: "Where the stack is installed",
      placeholder: "dir",
      short: "d",
      default: "/opt/ongrid",
      env: "ONGRID_INSTALL_DIR",
    },
    "health-timeout": {
      type: "duration",
      help: "How long the new version may take until it is healthy, before the previous one is " +
        "restored",
      default: 60_000,
    },
    "keep": { type: "string", help: "A snapshot to keep", placeholder: "id", multiple: true },
    "an-option-with-a-very-long-name": { type: "integer", help: "Its help is on the next line" },
  },
  commands: {
    status: { name: "status", summary: "Show what is installed and what the last run did" },
    rollback: {
      name: "rollback",
      summary: "Restore the version before",
      options: { "restore-database": { type: "boolean", help: "Its data, too" } },
      positionals: [{ name: "snapshot", help: "Which one; default: the last", optional: true }],
    },
  },
  environment: { NO_COLOR: "Set to anything for output without colour" },
  notes: "Exit codes:\n  0  upgraded, or current already\n  2  usage",
});

Deno.test("the help text is laid out in sections of at most 80 columns", () => {
  const text = helpText(SPEC);
  assertEquals(text, HELP);
  assertEquals(text.split("\n").filter((line) => line.length > 80), []);
});

const HELP = `upgrade: Bring the installed stack to the version of this tarball

Usage: upgrade [options] [command]

Commands:
  status    Show what is installed and what the last run did
  rollback  Restore the version before

Options:
      --json               Print one JSON object a line
  -d, --install-dir <dir>  Where the stack is installed (default: /opt/ongrid)
      --health-timeout <duration>
                           How long the new version may take until it is
                           healthy, before the previous one is restored
                           (default: 1m)
      --keep <id>          A snapshot to keep (may be repeated)
      --an-option-with-a-very-long-name <integer>
                           Its help is on the next line
  -h, --help               Show this help and exit
      --version            Show the version and exit

Environment:
  ONGRID_INSTALL_DIR  Same as --install-dir
  NO_COLOR            Set to anything for output without colour

Exit codes:
  0  upgraded, or current already
  2  usage
`;

Deno.test("the help of a command shows its own options and arguments and the program's", () => {
  const lines = helpText(SPEC, "rollback").split("\n");
  assertEquals(lines.slice(0, 6), [
    "upgrade rollback: Restore the version before",
    "",
    "Usage: upgrade rollback [options] [snapshot]",
    "",
    "Arguments:",
    "  snapshot  Which one; default: the last",
  ]);
  assertEquals(lines.includes("      --restore-database   Its data, too"), true);
  assertEquals(lines.some((line) => line.startsWith("  -d, --install-dir")), true);
});

Deno.test("every option in the help text parses, and no other one does", () => {
  assertEquals(helpProblems(SPEC), []);
});

Deno.test("a help text that has drifted from its parser is noticed", () => {
  const word = "x".repeat(81);
  const drifted = { ...SPEC, notes: `      --invented  Not an option\n${word}` };
  assertEquals(helpProblems(drifted), [
    word,
    "--invented is shown and not declared",
  ]);
});

Deno.test("a program shows and takes the options and arguments of its default command", () => {
  const spec = defineCommand({
    name: "manager",
    summary: "Manage",
    options: { json: { type: "boolean", help: "JSON" } },
    commands: {
      run: {
        name: "run",
        summary: "Run",
        options: { "http-addr": { type: "string", help: "Where", env: "HTTP_ADDR" } },
        positionals: [{ name: "file", help: "A file", optional: true }],
      },
      list: { name: "list", summary: "List" },
    },
    defaultCommand: "run",
  });
  assertEquals(helpProblems(spec), []);
  assertEquals(
    helpText(spec),
    `manager: Manage

Usage: manager [options] [command] [file]

Commands:
  run   Run (the default)
  list  List

Arguments:
  file  A file

Options:
      --json                JSON
      --http-addr <string>  Where
  -h, --help                Show this help and exit
      --version             Show the version and exit

Environment:
  HTTP_ADDR  Same as --http-addr
`,
  );
});

Deno.test("long summaries and notes are wrapped, notes with their indentation", () => {
  const words = "word ".repeat(20).trim();
  const spec = defineCommand({
    name: "tool",
    summary: words,
    notes: `Notes:\n  ${words}\n  short`,
  });
  const lines = helpText(spec).split("\n");
  assertEquals(lines.slice(0, 2), [`tool: ${"word ".repeat(15).trim()}`, "word ".repeat(5).trim()]);
  assertEquals(lines.slice(-5), [
    "Notes:",
    `  ${"word ".repeat(15).trim()}`,
    `  ${"word ".repeat(5).trim()}`,
    "  short",
    "",
  ]);
});

Deno.test("a short form that the program uses itself is not taken for help", () => {
  const spec = defineCommand({
    name: "tool",
    summary: "Do it",
    options: { host: { type: "string", help: "A host", short: "h" } },
  });
  const parsed = parseCommand(spec, ["-h", "example"], noEnv);
  assertEquals(parsed.kind === "run" && parsed.options.host, "example");
  assertEquals(optionsShown(helpText(spec)), ["-h", "--host", "--help", "--version"]);
});

function noEnv(): undefined {
  return undefined;
}
