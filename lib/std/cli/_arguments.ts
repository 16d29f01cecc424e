/** The options of `parseArgs`, ready for use: every set contains the aliases of its names, too. */
export interface Grammar {
  aliases: Map<string, Set<string>>;
  allBooleans: boolean;
  booleans: Set<string>;
  strings: Set<string>;
  collected: Set<string>;
  negatable: Set<string>;
  defaults: Record<string, unknown>;
  stopEarly: boolean;
  separateRest: boolean;
  unknown: (arg: string, key?: string, value?: unknown) => unknown;
}

type Value = string | number | boolean;
type Tree = Record<string, unknown>;

/** Reads `args` by `grammar`. */
export function readArguments(args: string[], grammar: Grammar): Tree {
  const end = args.indexOf("--");
  const reader = new Reader(end === -1 ? args : args.slice(0, end), grammar);
  return reader.read(end === -1 ? [] : args.slice(end + 1));
}

class Reader {
  readonly #args: readonly string[];
  readonly #grammar: Grammar;
  readonly #rest: (string | number)[] = [];
  readonly #result: Tree = { _: this.#rest };
  #position = 0;

  constructor(args: readonly string[], grammar: Grammar) {
    this.#args = args;
    this.#grammar = grammar;
  }

  read(afterDashes: string[]): Tree {
    for (; this.#position < this.#args.length; this.#position++) {
      const arg = this.#args[this.#position] ?? "";
      if (arg.startsWith("--")) this.#readLong(arg);
      else if (arg.startsWith("-") && arg !== "-") this.#readShort(arg);
      else if (this.#readOther(arg)) break;
    }
    this.#fillIn();
    if (this.#grammar.separateRest) this.#result["--"] = afterDashes;
    else this.#rest.push(...afterDashes);
    return this.#result;
  }

  #readLong(arg: string): void {
    const negated = arg.startsWith("--no-") && arg.length > "--no-".length;
    const text = arg.slice(negated ? "--no-".length : 2);
    const equals = text.indexOf("=", 1);
    if (equals !== -1 && equals < text.length - 1) {
      const key = text.slice(0, equals);
      const value = text.slice(equals + 1);
      return this.#set(key, this.#grammar.booleans.has(key) ? value !== "false" : value, arg);
    }
    if (negated && this.#grammar.negatable.has(text)) {
      return this.#store(text, false, arg, "replace");
    }
    const key = negated ? `no-${text}` : text;
    const next = this.#args[this.#position + 1] ?? "";
    const isValue = next !== "" && !next.startsWith("-") && !this.#grammar.allBooleans;
    if (isValue && !this.#isBoolean(key)) this.#setToNext(key, arg);
    else this.#setFlag(key, arg);
  }

  /** `-abc`: letters up to one that has its value attached; only the last may take the next one. */
  #readShort(arg: string): void {
    for (let i = 1; i < arg.length - 1; i++) {
      const letter = arg.charAt(i);
      const attached = arg.slice(i + 1);
      if (attached === "-") {
        this.#set(letter, attached, arg);
        continue;
      }
      if (/[A-Za-z]/.test(letter)) {
        const value = /=(.+)/.exec(attached)?.[1] ??
          (/\d+(\.\d*)?(e-?\d+)?$/.test(attached) ? attached : undefined);
        if (value !== undefined) return this.#set(letter, value, arg);
      }
      if (i < arg.length - 2 && /^\W/.test(attached)) {
        return this.#set(letter, attached, arg);
      }
      this.#set(letter, this.#bare(letter), arg);
    }
    const last = arg.slice(-1);
    if (last === "-") return;
    const next = this.#args[this.#position + 1] ?? "";
    const isValue = next !== "" && !/^--?[^-]/.test(next);
    if (isValue && !this.#isBoolean(last)) this.#setToNext(last, arg);
    else this.#setFlag(last, arg);
  }

  #setToNext(key: string, arg: string): void {
    this.#set(key, this.#args[++this.#position] ?? "", arg);
  }

  /** A flag takes the next argument, too, when that is a plain `true` or `false`. */
  #setFlag(key: string, arg: string): void {
    const next = this.#args[this.#position + 1] ?? "";
    if (next !== "true" && next !== "false") return this.#set(key, this.#bare(key), arg);
    this.#position++;
    this.#set(key, next === "true", arg);
  }

  /** Returns whether reading ends here. */
  #readOther(arg: string): boolean {
    if (this.#grammar.unknown(arg) !== false) {
      this.#rest.push(this.#grammar.strings.has("_") ? arg : asNumber(arg));
    }
    if (!this.#grammar.stopEarly) return false;
    this.#rest.push(...this.#args.slice(this.#position + 1));
    return true;
  }

  #isBoolean(key: string): boolean {
    const { aliases, booleans } = this.#grammar;
    return booleans.has(key) ||
      [...aliases.get(key) ?? []].some((alias) => booleans.has(alias));
  }

  #bare(key: string): Value {
    return this.#grammar.strings.has(key) ? "" : true;
  }

  #set(key: string, value: Value, arg: string): void {
    this.#store(key, value, arg, this.#grammar.collected.has(key) ? "collect" : "replace");
  }

  #store(key: string, value: Value, arg: string, how: "collect" | "replace"): void {
    const { aliases, allBooleans, booleans, collected, strings, unknown } = this.#grammar;
    const known = booleans.has(key) || strings.has(key) || collected.has(key) || aliases.has(key) ||
      allBooleans && /^--[^=]+$/.test(arg);
    if (!known && unknown(arg, key, value) === false) return;
    const stored = typeof value === "string" && !strings.has(key) ? asNumber(value) : value;
    for (const name of [key, ...aliases.get(key) ?? []]) {
      const old = how === "collect" ? getNested(this.#result, name) : undefined;
      if (Array.isArray(old)) old.push(stored);
      else if (how === "replace") setNested(this.#result, name, stored);
      else setNested(this.#result, name, old ? [old, stored] : [stored]);
    }
  }

  #fillIn(): void {
    const { aliases, booleans, collected, defaults, strings } = this.#grammar;
    for (const [key, value] of Object.entries(defaults)) {
      if (hasNested(this.#result, key)) continue;
      for (const name of [key, ...aliases.get(key) ?? []]) {
        setNested(this.#result, name, value);
      }
    }
    for (const key of booleans) {
      if (hasNested(this.#result, key)) continue;
      setNested(this.#result, key, collected.has(key) ? [] : false);
    }
    for (const key of strings) {
      if (collected.has(key) && !hasNested(this.#result, key)) {
        setNested(this.#result, key, []);
      }
    }
  }
}

function asNumber(text: string): string | number {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** Own properties only, and defined instead of assigned: `--__proto__.x` must change nothing. */
function setNested(tree: Tree, path: string, value: unknown): void {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let at = tree;
  for (const key of keys) {
    const inner = Object.hasOwn(at, key) ? at[key] : undefined;
    if (isTree(inner)) at = inner;
    else define(at, key, at = {});
  }
  define(at, last, value);
}

function getNested(tree: Tree, path: string): unknown {
  let at: unknown = tree;
  for (const key of path.split(".")) {
    if (!isTree(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

function hasNested(tree: Tree, path: string): boolean {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  const holder = keys.length === 0 ? tree : getNested(tree, keys.join("."));
  return isTree(holder) && Object.hasOwn(holder, last);
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null;
}

function define(tree: Tree, key: string, value: unknown): void {
  Object.defineProperty(tree, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}
