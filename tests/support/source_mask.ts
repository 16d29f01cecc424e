/** A string literal of a source file. */
export interface Literal {
  /** Where its opening quote is. */
  readonly start: number;
  readonly text: string;
}

/** A source file of which only the code is left, see {@linkcode maskSource}. */
export interface MaskedSource {
  /** As long as the source, line for line: comments, regular expressions and texts are blank. */
  readonly code: string;
  /** The string literals and the templates without substitutions, in order. */
  readonly literals: readonly Literal[];
}

/** After these a slash begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = /(?:^|[([{,;:=!&|?+\-*%<>~^}]|=>|\b(?:return|typeof|case|in|of|void|throw))$/;

/**
 * Blanks everything in TypeScript source that is not code, so that a search finds code only. It
 * knows as much of the grammar as it takes to tell where texts end.
 */
export function maskSource(source: string): MaskedSource {
  return new Masker(source).mask();
}

class Masker {
  readonly #source: string;
  readonly #out: string[] = [];
  readonly #literals: Literal[] = [];
  /** For each template that is open, how many braces are open in its current substitution. */
  readonly #templates: number[] = [];
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  mask(): MaskedSource {
    while (this.#at < this.#source.length) this.#step();
    return { code: this.#out.join(""), literals: this.#literals };
  }

  #step(): void {
    const char = this.#source.charAt(this.#at);
    const two = this.#source.slice(this.#at, this.#at + 2);
    if (two === "//" || (this.#at === 0 && two === "#!")) this.#blankTo(this.#indexOf("\n"));
    else if (two === "/*") this.#blankTo(this.#indexOf("*/", 2) + 2);
    else if (char === '"' || char === "'") this.#string(char);
    else if (char === "`") this.#template();
    else if (char === "/" && BEFORE_REGEX.test(this.#codeBefore())) this.#regex();
    else this.#plain(char);
  }

  #plain(char: string): void {
    const depth = this.#templates.at(-1);
    if (depth !== undefined && char === "{") {
      this.#templates[this.#templates.length - 1] = depth + 1;
    }
    if (depth !== undefined && char === "}") {
      if (depth === 0) {
        this.#templates.pop();
        this.#keep(1);
        return this.#templateText(this.#at);
      }
      this.#templates[this.#templates.length - 1] = depth - 1;
    }
    this.#keep(1);
  }

  #string(quote: string): void {
    const start = this.#at;
    let end = start + 1;
    while (end < this.#source.length && this.#source[end] !== quote) {
      end += this.#source[end] === "\\" ? 2 : 1;
    }
    this.#literals.push({ start, text: this.#source.slice(start + 1, end) });
    this.#keep(1);
    this.#blankTo(end);
    this.#keep(1);
  }

  #template(): void {
    this.#keep(1);
    this.#templateText(this.#at - 1);
  }

  /** From here to the next substitution, or to the end of the template that `start` began. */
  #templateText(start: number): void {
    let end = this.#at;
    while (end < this.#source.length) {
      if (this.#source[end] === "`") {
        const begun = this.#source[start] === "`";
        if (begun) this.#literals.push({ start, text: this.#source.slice(start + 1, end) });
        this.#blankTo(end);
        return this.#keep(1);
      }
      if (this.#source.startsWith("${", end)) {
        this.#blankTo(end);
        this.#keep(2);
        this.#templates.push(0);
        return;
      }
      end += this.#source[end] === "\\" ? 2 : 1;
    }
    this.#blankTo(this.#source.length);
  }

  #regex(): void {
    let end = this.#at + 1;
    let inClass = false;
    while (end < this.#source.length && this.#source[end] !== "\n") {
      const char = this.#source[end];
      if (char === "/" && !inClass) break;
      if (char === "[") inClass = true;
      if (char === "]") inClass = false;
      end += char === "\\" ? 2 : 1;
    }
    this.#blankTo(end + 1);
  }

  #codeBefore(): string {
    // Far enough back for the longest keyword and the white space after it.
    return this.#out.slice(-200).join("").trimEnd();
  }

  #indexOf(text: string, skip = 0): number {
    const index = this.#source.indexOf(text, this.#at + skip);
    return index < 0 ? this.#source.length : index;
  }

  #keep(count: number): void {
    for (let i = 0; i < count; i++) this.#out.push(this.#source.charAt(this.#at + i));
    this.#at += count;
  }

  #blankTo(end: number): void {
    for (; this.#at < end && this.#at < this.#source.length; this.#at++) {
      this.#out.push(this.#source[this.#at] === "\n" ? "\n" : " ");
    }
  }
}
