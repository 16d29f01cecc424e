/** A fresh upgrade that no manager accepts takes itself back. */

import { formatDuration } from "../../cli/duration.ts";
import { describeError } from "../../cli/errors.ts";
import type { AgentEffects } from "./effects.ts";
import type { Leave } from "./leave.ts";
import type { StageStore } from "./store.ts";

/** Exit code with which the agent gives up: the next start rolls the upgrade back. */
export const EXIT_PROBATION = 75;

/** What probation needs. */
export interface ProbationOptions {
  /** How long, in milliseconds. */
  readonly milliseconds: number;
  /** The version on probation. */
  readonly version: string;
  readonly store: StageStore;
  readonly leave: Leave;
  readonly effects: Pick<AgentEffects, "sleep">;
  /** Why no manager has accepted this agent, as far as is known. */
  readonly lastProblem: () => string | undefined;
  readonly warn: (message: string) => void;
}

/**
 * Starts the period. Where it ends before {@linkcode Probation.passed} was called, the verdict is
 * written and the agent leaves with {@linkcode EXIT_PROBATION}.
 */
export class Probation {
  readonly #over = new AbortController();

  constructor(options: ProbationOptions) {
    const either = AbortSignal.any([this.#over.signal, options.leave.signal]);
    void options.effects.sleep(options.milliseconds, either).then(() => {
      if (!either.aborted) giveUp(options);
    });
  }

  /** A manager has accepted this agent. */
  passed(): void {
    this.#over.abort();
  }
}

function giveUp(options: ProbationOptions): void {
  const problem = options.lastProblem();
  const reason = `${options.version} was not accepted by a manager within ` +
    `${formatDuration(options.milliseconds)}${problem === undefined ? "" : `: ${problem}`}`;
  try {
    options.store.writeVerdict(reason);
  } catch (error) {
    // The next start finds no health marker either, and rolls back all the same.
    options.warn(`cannot write the verdict: ${describeError(error).message}`);
  }
  options.leave.now({ exitCode: EXIT_PROBATION, reason: `giving up: ${reason}` });
}
