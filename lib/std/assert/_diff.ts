/** The most table cells (lines × lines) a comparison may take: beyond that it costs seconds. */
const MAX_DIFF_CELLS = 4_000_000;

type Sign = " " | "-" | "+";

/** A value as text, one property a line and keys sorted, so that two of them can be compared. */
export function format(value: unknown): string {
  return Deno.inspect(value, {
    depth: Infinity,
    sorted: true,
    trailingComma: true,
    compact: false,
    iterableLimit: Infinity,
    getters: true,
    strAbbreviateSize: Infinity,
  });
}

/** The part of an assertion message that shows two values line by line: `-` actual, `+` expected. */
export function difference(actual: unknown, expected: unknown): string {
  const texts = typeof actual === "string" && typeof expected === "string";
  const left = (texts ? actual : format(actual)).split("\n");
  const right = (texts ? expected : format(expected)).split("\n");
  const lines = diffLines(left, right).map(([sign, line]) => paint(sign, `${sign}   ${line}`));
  return ["", "", "    [Diff] Actual / Expected", "", "", ...lines, ""].join("\n");
}

function paint(sign: Sign, line: string): string {
  if (Deno.noColor || sign === " ") return line;
  return `\x1b[${sign === "-" ? 31 : 32}m\x1b[1m${line}\x1b[22m\x1b[39m`;
}

function diffLines(left: string[], right: string[]): [Sign, string][] {
  const shortest = Math.min(left.length, right.length);
  let head = 0;
  while (head < shortest && left[head] === right[head]) head++;
  let tail = 0;
  while (tail < shortest - head && left.at(-1 - tail) === right.at(-1 - tail)) {
    tail++;
  }
  const same = (line: string): [Sign, string] => [" ", line];
  return [
    ...left.slice(0, head).map(same),
    ...diffMiddle(left.slice(head, left.length - tail), right.slice(head, right.length - tail)),
    ...left.slice(left.length - tail).map(same),
  ];
}

/** Keeps the longest common subsequence; the rest is removed from `left`, added from `right`. */
function diffMiddle(left: string[], right: string[]): [Sign, string][] {
  const width = right.length + 1;
  if (left.length * width > MAX_DIFF_CELLS) {
    return [...left.map(removed), ...right.map(added)];
  }
  const common = new Uint32Array((left.length + 1) * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      common[i * width + j] = left[i] === right[j]
        ? at(i + 1, j + 1) + 1
        : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const result: [Sign, string][] = [];
  let j = 0;
  left.forEach((line, i) => {
    while (j < right.length && line !== right[j] && at(i, j + 1) > at(i + 1, j)) {
      result.push(added(right[j++] ?? ""));
    }
    if (line === right[j]) {
      result.push([" ", line]);
      j++;
    } else result.push(removed(line));
  });
  return [...result, ...right.slice(j).map(added)];
}

function removed(line: string): [Sign, string] {
  return ["-", line];
}

function added(line: string): [Sign, string] {
  return ["+", line];
}
