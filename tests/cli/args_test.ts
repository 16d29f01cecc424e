import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { defineCommand, parseCommand } from "../../lib/cli/args.ts";
import type { CommandSpec } from "../../lib/cli/command_spec.ts";
import { UsageError } from "../../lib/cli/errors.ts";
import { VERSION } from "../../lib/cli/version.ts";

const PLAIN = defineCommand({
  name: "tool",
  summary: "Do it",
  options: {
    "json": { type: "boolean", help: "Print JSON" },
    "no-rollback": { type: "boolean", help: "Stay", env: "TOOL_NO_ROLLBACK" },
    "name": { type: "string", help: "A name", short: "n", env: "TOOL_NAME" },
    "dir": { type: "string", help: "A directory", default: "/opt/tool" },
    "edge": { type: "string", help: "An edge", multiple: true },
    "port": { type: "integer", help: "A port", min: 1, max: 65535, env: "TOOL_PORT" },
    "wait": { type: "duration", help: "How long", default: 60_000 },
  },
  positionals: [{ name: "file", help: "A file", optional: true }],
});

const TREE = defineCommand({
  name: "upgrade",
  summary: "Upgrade",
  options: {
    "json": { type: "boolean", help: "Print JSON" },
    "install-dir": { type: "string", help: "Where" },
  },
  commands: {
    status: { name: "status", summary: "Show" },
    rollback: {
      name: "rollback",
      summary: "Go back",
      options: { "restore-database": { type: "boolean", help: "Data, too" } },
      positionals: [{ name: "id", help: "Which", optional: true }],
    },
  },
});

const AGENT = defineCommand({
  name: "agent",
  summary: "Run",
  commands: {
    run: { name: "run", summary: "Run", options: { once: { type: "boolean", help: "Once" } } },
    stage: {
      name: "stage",
      summary: "Stage",
      positionals: [{ name: "file", help: "Bundle" }, {
        name: "more",
        help: "More",
        multiple: true,
      }],
    },
  },
  defaultCommand: "run",
});

function noEnv(): undefined {
  return undefined;
}

function plain(argv: string[], env: Record<string, string> = {}) {
  const parsed = parseCommand(PLAIN, argv, (name) => env[name]);
  if (parsed.kind !== "run") throw new Error(`it is ${parsed.kind}`);
  return parsed;
}

function refused(spec: CommandSpec, argv: string[], env: Record<string, string> = {}): UsageError {
  return assertThrows(() => parseCommand(spec, argv, (name) => env[name]), UsageError);
}

Deno.test("without arguments every option has its default", () => {
  assertEquals(plain([]), {
    kind: "run",
    command: undefined,
    options: {
      "json": false,
      "no-rollback": false,
      "name": undefined,
      "dir": "/opt/tool",
      "edge": [],
      "port": undefined,
      "wait": 60_000,
    },
    positionals: [],
  });
});

Deno.test("options are typed by their kind", () => {
  const argv = ["--json", "--no-rollback", "-n", "007", "--dir=/a=b", "--edge", "a", "--edge=b"];
  const { options, positionals } = plain([...argv, "--port", "8080", "--wait", "1m30s", "12"]);
  const name: string | undefined = options.name;
  const port: number | undefined = options.port;
  const edges: string[] = options.edge;
  const dir: string = options.dir;
  const wait: number = options.wait;
  assertEquals([name, port, edges, dir, wait], ["007", 8080, ["a", "b"], "/a=b", 90_000]);
  assertEquals([options.json, options["no-rollback"]], [true, true]);
  assertEquals(positionals, ["12"]);
});

Deno.test("of an option given twice the last counts", () => {
  assertEquals(plain(["--name", "a", "--name", "b"]).options.name, "b");
});

Deno.test("an unknown option is refused with the usage line and the likely one", () => {
  const error = refused(PLAIN, ["--jsn"]);
  assertEquals(error.message, "unknown option --jsn (did you mean --json?)");
  assertEquals(
    error.hint,
    'Usage: tool [options] [file]\nRun "tool --help" for all options.',
  );
  assertEquals(error.exitCode, 2);
});

Deno.test("the value of an unknown option, perhaps a secret, is not repeated", () => {
  assertEquals(refused(PLAIN, ["--password=hunter2"]).message, "unknown option --password");
});

Deno.test("no form of an option gets past the parser unknown", () => {
  const forms = [
    "-x",
    "-jx",
    "--json.x=1",
    "--no-json",
    "--no-json=true",
    "--no-name=x",
    "---json",
  ];
  for (const form of [...forms, "--__proto__", "--constructor=1", "--=x"]) {
    refused(PLAIN, [form]);
  }
});

Deno.test("a missing value is refused in every form", () => {
  for (const argv of [["--name"], ["--name", "--json"], ["--name="], ["--name", ""], ["-n"]]) {
    assertEquals(refused(PLAIN, argv).message, "--name needs a value", argv.join(" "));
  }
});

Deno.test("flags take no value but true and false after an equals sign", () => {
  assertEquals(plain(["--json=true"]).options.json, true);
  assertEquals(plain(["--json=false"]).options.json, false);
  assertEquals(plain(["--no-rollback=false"]).options["no-rollback"], false);
  for (
    const argv of [["--json=yes"], ["--json="], ["--json", "false"], ["--json", "--json=false"]]
  ) {
    refused(PLAIN, argv);
  }
});

Deno.test("a bad integer or duration is refused with the reason", () => {
  const messages = [
    ["--port", "80a"],
    ["--port", "1.5"],
    ["--port", "0"],
    ["--port", "65536"],
    ["--port=-1"],
    ["--port", "9999999999999999999"],
    ["--wait", "soon"],
  ].map((argv) => refused(PLAIN, argv).message);
  assertEquals(messages.slice(0, 6), [
    '--port: "80a" is not a whole number',
    '--port: "1.5" is not a whole number',
    '--port: "0" is less than 1',
    '--port: "65536" is more than 65535',
    '--port: "-1" is less than 1',
    '--port: "9999999999999999999" is not a whole number',
  ]);
  assertStringIncludes(messages[6] ?? "", '--wait: "soon" is not a duration');
});

Deno.test("a surplus argument is refused", () => {
  assertEquals(refused(PLAIN, ["a", "b"]).message, 'unexpected argument "b"');
  assertEquals(refused(TREE, ["status", "b"]).message, 'unexpected argument "b"');
});

Deno.test("a missing argument is refused, and one that repeats takes all", () => {
  assertEquals(refused(AGENT, ["stage"]).message, "<file> is missing");
  assertEquals(refused(AGENT, ["stage", "a"]).message, "<more> is missing");
  const parsed = parseCommand(AGENT, ["stage", "a", "b", "c"], noEnv);
  assertEquals(parsed.kind === "run" && parsed.positionals, ["a", "b", "c"]);
});

Deno.test("everything after two dashes is an argument", () => {
  assertEquals(plain(["--", "--json"]).positionals, ["--json"]);
  assertEquals(plain(["--", "--json"]).options.json, false);
  const parsed = parseCommand(TREE, ["rollback", "--", "status"], noEnv);
  assertEquals(parsed.kind === "run" && [parsed.command, parsed.positionals], ["rollback", [
    "status",
  ]]);
});

Deno.test("an option that is not given comes from its environment variable", () => {
  const env = { TOOL_NAME: "from env", TOOL_NO_ROLLBACK: "1", TOOL_PORT: "443" };
  const { options } = plain([], env);
  assertEquals([options.name, options["no-rollback"], options.port], ["from env", true, 443]);
});

Deno.test("the command line overrules the environment", () => {
  const env = { TOOL_NAME: "from env", TOOL_NO_ROLLBACK: "yes" };
  const { options } = plain(["--name", "given", "--no-rollback=false"], env);
  assertEquals([options.name, options["no-rollback"]], ["given", false]);
});

Deno.test("an empty environment variable counts as unset", () => {
  assertEquals(plain([], { TOOL_NAME: "", TOOL_PORT: "" }).options.name, undefined);
});

Deno.test("a bad environment variable is refused by name", () => {
  const port = refused(PLAIN, [], { TOOL_PORT: "http" });
  assertEquals(port.message, 'the environment variable TOOL_PORT: "http" is not a whole number');
  refused(PLAIN, [], { TOOL_NO_ROLLBACK: "perhaps" });
});

Deno.test("each environment variable is read once, and none for help", () => {
  const read: string[] = [];
  const env = (name: string) => {
    read.push(name);
    return undefined;
  };
  parseCommand(PLAIN, ["--help"], env);
  assertEquals(read, []);
  parseCommand(PLAIN, [], env);
  assertEquals(read.toSorted(), ["TOOL_NAME", "TOOL_NO_ROLLBACK", "TOOL_PORT"]);
});

Deno.test("a program runs by itself when no command is named", () => {
  const parsed = parseCommand(TREE, ["--json"], noEnv);
  assertEquals(parsed.kind === "run" && [parsed.command, parsed.options.json], [undefined, true]);
});

Deno.test("a command takes the program's options on both sides of its name, and its own", () => {
  const argv = ["--install-dir", "status", "rollback", "--json", "--restore-database", "7"];
  const parsed = parseCommand(TREE, argv, noEnv);
  if (parsed.kind !== "run" || parsed.command !== "rollback") throw new Error("no rollback");
  const restore: boolean = parsed.options["restore-database"];
  assertEquals([restore, parsed.options.json, parsed.options["install-dir"]], [
    true,
    true,
    "status",
  ]);
  assertEquals(parsed.positionals, ["7"]);
});

Deno.test("a command's own option is unknown to the others", () => {
  refused(TREE, ["--restore-database"]);
  refused(TREE, ["status", "--restore-database"]);
});

Deno.test("an unknown command is refused with the likely one", () => {
  assertEquals(refused(TREE, ["statu"]).message, "unknown command statu (did you mean status?)");
  assertEquals(refused(TREE, ["toString"]).message, "unknown command toString");
});

Deno.test("the default command is the one that is meant, options included", () => {
  const parsed = parseCommand(AGENT, ["--once"], noEnv);
  if (parsed.kind !== "run" || parsed.command !== "run") throw new Error("not run");
  assertEquals(parsed.options.once, true);
});

Deno.test("help and version are everywhere, and come before complaints about arguments", () => {
  const kinds = [["--help"], ["-h"], ["a", "b", "--help"]].map((argv) =>
    parseCommand(PLAIN, argv, noEnv).kind
  );
  assertEquals(kinds, ["help", "help", "help"]);
  assertEquals(parseCommand(PLAIN, ["--version"], noEnv), { kind: "version", text: VERSION });
  assertEquals(parseCommand(AGENT, ["stage", "--version"], noEnv).kind, "version");
  const help = parseCommand(AGENT, ["stage", "--help"], noEnv);
  assertStringIncludes(
    help.kind === "help" ? help.text : "",
    "Usage: agent stage [options] <file>",
  );
});

Deno.test("a program may have an option of its own called version", () => {
  const spec = defineCommand({
    name: "package",
    summary: "Package",
    options: { version: { type: "string", help: "The version to build" } },
  });
  const parsed = parseCommand(spec, ["--version", "v1.2.3"], noEnv);
  assertEquals(parsed.kind === "run" && parsed.options.version, "v1.2.3");
});
