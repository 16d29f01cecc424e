import type { Output } from "./output.ts";
import { sanitizeLine } from "./sanitize.ts";

/** Between two columns. */
const GAP = "  ";

/**
 * A table whose rows change while one watches. On a terminal it is redrawn in place; elsewhere each
 * row is printed as a line when it is new or has changed. The first cell of a row names it.
 *
 * @example
 * ```ts
 * const table = new LiveTable(["EDGE", "VERSION", "STATE"], output);
 * table.update([["edge-1", "v1.0.0", "fetching"]]);
 * table.finish();
 * ```
 */
export class LiveTable {
  readonly #columns: readonly string[];
  readonly #output: Output;
  readonly #printed = new Map<string, string>();
  readonly #widths: number[];
  #rows: readonly (readonly string[])[] = [];
  #finished = false;

  constructor(columns: readonly string[], output: Output) {
    this.#columns = columns;
    this.#output = output;
    this.#widths = columns.map((column) => column.length);
  }

  /** Shows these rows, one text per column, from now on. */
  update(rows: readonly (readonly string[])[]): void {
    if (this.#finished) return;
    this.#rows = rows.map((row) => row.map(sanitizeLine));
    for (const row of this.#rows) {
      row.forEach((cell, i) => {
        this.#widths[i] = Math.max(this.#widths[i] ?? 0, cell.length);
      });
    }
    const { screen } = this.#output;
    if (screen?.live) screen.pin(this, this.#lines());
    else this.#printChanges();
  }

  /** Leaves the table on the terminal as it is. Again is harmless. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#output.screen?.unpin(this, this.#lines());
  }

  #lines(): string[] {
    return [this.#columns, ...this.#rows].map((row) => this.#line(row));
  }

  #line(row: readonly string[]): string {
    return row.map((cell, i) => cell.padEnd(this.#widths[i] ?? 0)).join(GAP).trimEnd();
  }

  #printChanges(): void {
    for (const row of this.#rows) {
      const [name = ""] = row;
      const content = JSON.stringify(row);
      if (this.#printed.get(name) === content) continue;
      this.#printed.set(name, content);
      this.#output.info(this.#line(row));
    }
  }
}
