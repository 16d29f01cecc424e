import type { Write } from "./stream_writer.ts";

/** Size of a terminal in characters. */
export interface ScreenSize {
  columns: number;
  rows: number;
}

/** What a {@linkcode Screen} writes to. */
export interface ScreenOptions {
  write: Write;
  /** Whether the cursor may be moved: a real terminal, and colour is not forbidden. */
  live: boolean;
  size: () => ScreenSize;
}

/**
 * The stream for people: lines that scroll away and, on a terminal, a few pinned ones below them
 * that are redrawn in place (progress bars, a table). The cursor always rests below the pinned
 * lines, so that whatever another program prints, or a crash, does not run into them.
 */
export class Screen {
  /** Whether pinned lines are shown; where not, whoever has some prints plain lines instead. */
  readonly live: boolean;
  readonly #write: Write;
  readonly #size: () => ScreenSize;
  readonly #pinned = new Map<object, readonly string[]>();
  #drawn = 0;

  constructor(options: ScreenOptions) {
    this.live = options.live;
    this.#write = options.write;
    this.#size = options.size;
  }

  /** Characters that fit on a line, for those who lay out what they pin. */
  get columns(): number {
    // The last column stays free: some terminals wrap when it is filled.
    return Math.max(1, this.#size().columns - 1);
  }

  /** Prints text that scrolls, above whatever is pinned. */
  print(text: string): void {
    this.#write(`${this.#erase()}${text}${this.#draw()}`);
  }

  /** Lets something else write to the same terminal, above whatever is pinned. */
  interrupt(action: () => void): void {
    const erase = this.#erase();
    if (erase !== "") this.#write(erase);
    action();
    const draw = this.#draw();
    if (draw !== "") this.#write(draw);
  }

  /** Shows or replaces the pinned lines of one owner: plain text, no escape sequences. */
  pin(owner: object, lines: readonly string[]): void {
    this.#pinned.set(owner, lines);
    if (this.live) this.#write(`${this.#erase()}${this.#draw()}`);
  }

  /** Ends an owner's pinned lines; `last` are printed in their place and scroll from now on. */
  unpin(owner: object, last: readonly string[] = []): void {
    if (!this.#pinned.delete(owner) || !this.live) return;
    this.print(last.map((line) => `${line}\n`).join(""));
  }

  #erase(): string {
    if (this.#drawn === 0) return "";
    const erase = `\x1b[${this.#drawn}A\x1b[J`;
    this.#drawn = 0;
    return erase;
  }

  #draw(): string {
    if (!this.live || this.#pinned.size === 0) return "";
    const lines = [...this.#pinned.values()].flat();
    // The cursor cannot go back to a line that has left the screen at the top.
    const room = Math.max(1, this.#size().rows - 1);
    const shown = lines.length <= room
      ? lines
      : [...lines.slice(0, room - 1), `... and ${lines.length - room + 1} more`];
    this.#drawn = shown.length;
    const { columns } = this;
    return shown.map((line) => `${line.slice(0, columns)}\n`).join("");
  }
}
