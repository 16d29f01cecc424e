import { formatDuration } from "./duration.ts";
import type { Screen } from "./screen.ts";
import { formatBytes } from "./units.ts";

/** What is counted: bytes, or things such as files and edges. */
export type ProgressUnit = "bytes" | "items";

/** Work under way, shown to people. */
export interface Progress {
  /** So much is done; `total` where it was not known before, or has changed. */
  update(done: number, total?: number): void;
  /** The work has ended, well or not: takes the bar away. Again is harmless. */
  finish(): void;
}

/** What {@linkcode createProgress} shows, and where. */
export interface ProgressOptions {
  label: string;
  total: number | undefined;
  unit: ProgressUnit;
  screen: Screen;
  /** Prints one line for people where there is no bar. */
  info: (message: string) => void;
  /** Told with every such line, for machines. */
  event: (fields: Record<string, unknown>) => void;
  /** Milliseconds on a clock that never goes back. */
  now: () => number;
}

/** More often nobody can read, and a slow terminal could not keep up with. */
const REDRAW_MS = 100;

/** With an unknown total there are no tenths to announce, so a line this often, in milliseconds. */
const LINE_EVERY_MS = 10_000;

/** A rate over less time than this is noise. */
const MIN_RATE_MS = 250;

const MIN_BAR = 10;
const MAX_BAR = 40;

/**
 * Shows progress: a bar with percentage, rate and remaining time on a terminal; one line per 10 %
 * elsewhere, or every ten seconds while the total is unknown.
 */
export function createProgress(options: ProgressOptions): Progress {
  return new ProgressView(options);
}

class ProgressView implements Progress {
  readonly #options: ProgressOptions;
  readonly #started: number;
  #total: number | undefined;
  #first: number | undefined;
  #done = 0;
  #drawnAt = -Infinity;
  /** The most that the numbers have needed: a bar that grew and shrank with them would flicker. */
  #tailWidth = 0;
  #tenths = 0;
  #saidAt: number;
  #finished = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#total = options.total;
    this.#started = options.now();
    this.#saidAt = this.#started;
    this.#draw();
  }

  update(done: number, total?: number): void {
    if (this.#finished) return;
    this.#done = Math.max(0, done);
    // What a resumed download begins with, told at once, says nothing about the rate.
    this.#first ??= this.#elapsed() < MIN_RATE_MS ? this.#done : 0;
    if (total !== undefined) this.#total = total;
    this.#draw();
    this.#say();
  }

  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    const { label, info, event, screen } = this.#options;
    screen.unpin(this);
    const rate = this.#rateText();
    const time = formatDuration(this.#elapsed());
    const complete = this.#total === undefined || this.#done >= this.#total;
    const rest = `${time}${rate === "" ? "" : `, ${rate}`}`;
    info(
      complete ? `${label}: ${this.#amount()} in ${rest}` : `${label}: ended at ${this.#state()}`,
    );
    event(this.#fields());
  }

  #draw(): void {
    const { screen, now } = this.#options;
    if (!screen.live || now() - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now();
    screen.pin(this, [this.#barLine(screen.columns)]);
  }

  #say(): void {
    const { screen, info, event, label, now } = this.#options;
    const fraction = this.#fraction();
    if (fraction === undefined) {
      if (now() - this.#saidAt < LINE_EVERY_MS) return;
    } else {
      const tenths = Math.floor(fraction * 10);
      // The last one is what finish() says.
      if (tenths <= this.#tenths || tenths >= 10) return;
      this.#tenths = tenths;
    }
    this.#saidAt = now();
    if (!screen.live) info(`${label}: ${this.#state()}`);
    event(this.#fields());
  }

  #barLine(columns: number): string {
    const { label } = this.#options;
    const fraction = this.#fraction();
    const details = [this.#amount(), this.#rateText(), this.#remainingText()];
    const tail = details.filter((text) => text !== "").join("  ");
    if (fraction === undefined) return `${label}  ${tail}`;
    const percent = `${Math.floor(fraction * 100)}%`.padStart(4);
    this.#tailWidth = Math.max(this.#tailWidth, tail.length);
    const room = columns - label.length - percent.length - this.#tailWidth - 7;
    if (room < MIN_BAR) return `${label} ${percent}  ${tail}`;
    const width = Math.min(MAX_BAR, room);
    const filled = Math.floor(fraction * width);
    return `${label}  [${"#".repeat(filled)}${"-".repeat(width - filled)}] ${percent}  ${tail}`;
  }

  #fraction(): number | undefined {
    if (this.#total === undefined) return undefined;
    return this.#total <= 0 ? 1 : Math.min(1, this.#done / this.#total);
  }

  #state(): string {
    const fraction = this.#fraction();
    const percent = fraction === undefined ? "" : `${Math.floor(fraction * 100)}%, `;
    const rate = this.#rateText();
    return `${percent}${this.#amount()}${rate === "" ? "" : `, ${rate}`}`;
  }

  #amount(): string {
    if (this.#options.unit === "items") {
      return this.#total === undefined ? `${this.#done}` : `${this.#done} of ${this.#total}`;
    }
    const done = formatBytes(this.#done);
    if (this.#total === undefined || this.#done >= this.#total) return done;
    return `${done} of ${formatBytes(this.#total)}`;
  }

  #elapsed(): number {
    return this.#options.now() - this.#started;
  }

  /** Units per millisecond since the start; `undefined` while it is too early to tell. */
  #rate(): number | undefined {
    const elapsed = this.#elapsed();
    const gained = this.#done - (this.#first ?? 0);
    return elapsed < MIN_RATE_MS || gained <= 0 ? undefined : gained / elapsed;
  }

  #rateText(): string {
    const rate = this.#rate();
    if (rate === undefined || this.#options.unit === "items") return "";
    return `${formatBytes(rate * 1000)}/s`;
  }

  #remainingText(): string {
    const rate = this.#rate();
    if (rate === undefined || this.#total === undefined || this.#done >= this.#total) return "";
    const seconds = Math.ceil((this.#total - this.#done) / rate / 1000);
    return `ETA ${formatDuration(seconds * 1000)}`;
  }

  #fields(): Record<string, unknown> {
    const total = this.#total === undefined ? {} : { total: this.#total };
    return { label: this.#options.label, done: this.#done, ...total, unit: this.#options.unit };
  }
}
