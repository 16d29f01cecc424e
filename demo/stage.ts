/** What every step of the demo works with. */

import { fromFileUrl } from "@std/path";
import type { Output } from "../lib/cli/output.ts";
import type { Processes } from "./processes.ts";

/** The checkout. */
export const ROOT = fromFileUrl(new URL("..", import.meta.url)).replace(/\/$/, "");

/** What the fleet starts with, and what it is upgraded to. */
export const OLD = "v0.8.0";
export const NEW = "v0.8.1";

/** One run of the demo. */
export class Stage {
  readonly output: Output;
  readonly processes: Processes;
  /** Aborted when somebody wants it to end. */
  readonly signal: AbortSignal;
  #step = 0;

  constructor(options: { output: Output; processes: Processes; signal: AbortSignal }) {
    this.output = options.output;
    this.processes = options.processes;
    this.signal = options.signal;
  }

  /** Everything the demo makes is below it. */
  get directory(): string {
    return this.processes.directory;
  }

  /** Begins a step, unless the demo is to end. */
  step(title: string): void {
    this.signal.throwIfAborted();
    this.#step++;
    this.output.info(`${this.#step}. ${title}`);
    this.output.event("step", { step: this.#step, title });
  }
}
