import { conclude, swapIn, takeBack } from "./apply.ts";
import { discardBundle, sweepClaimed } from "./claim.ts";
import { type HookContext, recordOutcome } from "./context.ts";
import { ROOT_STATE, STAGE } from "./paths.ts";
import type { Journal } from "./records.ts";
import { carryOutRollback, carryOutSettle, disarm } from "./settle.ts";
import { canSwapForward, missingForReturn, swapBack } from "./swap.ts";

/**
 * What a killed run left. `continue`: nothing, or something that does not concern this start.
 * `stop`: an upgrade was completed or taken back, and the agent must get its start before anything
 * is judged or applied.
 */
export type Recovery = "continue" | "stop";

/** Finishes what a killed run had decided, in the direction that it had decided. */
export function finishKilledRun(context: HookContext): Recovery {
  sweepClaimed(context);
  const rescued = context.records.rescuedJournal();
  if (rescued) return finishRescue(context, rescued);
  const journal = context.records.journal();
  if (!journal) return "continue";
  context.log.info(
    `finishing the ${journal.op} of ${journal.version || "a file"} that was cut off`,
  );
  switch (journal.op) {
    case "settle":
      carryOutSettle(context, journal);
      return "continue";
    case "rollback":
      return finishRollback(context, journal);
    case "apply":
      return finishApply(context, journal);
  }
}

/**
 * Calls `act`, and finishes what it had decided where an error cut it off: the agent is about to
 * start, and must find one whole set. A disk that failed one call need not fail the next.
 *
 * @throws what `act` throws, or what keeps even the second try from its end.
 */
export function finishingCutOff<T>(context: HookContext, act: () => T): T {
  try {
    return act();
  } finally {
    if (context.records.rescuedJournal() ?? context.records.journal()) finishKilledRun(context);
  }
}

function finishApply(context: HookContext, journal: Journal): Recovery {
  if (canSwapForward(journal.files)) {
    swapIn(context, journal);
    conclude(context, journal);
    return "stop";
  }
  if (missingForReturn(journal.files).length > 0) return giveUp(context, journal);
  takeBack(context, journal);
  context.log.warn(`${journal.version} could not be completed and was taken back`);
  return "continue";
}

function finishRollback(context: HookContext, journal: Journal): Recovery {
  if (missingForReturn(journal.files).length > 0) return giveUp(context, journal);
  carryOutRollback(context, journal);
  return "stop";
}

/** The guard put the previous files back because this program did not run: never forward again. */
function finishRescue(context: HookContext, journal: Journal): Recovery {
  const present = journal.files.filter((file) => missingForReturn([file]).length === 0);
  const restored = swapBack(context.paths, present);
  recordOutcome(context, {
    state: "rolled_back",
    version: journal.version,
    reason: "could_not_run",
    detail: "the new hook or its runtime could not run on this host",
    restored,
  });
  discardBundle(context);
  context.stage?.removeTree(STAGE.incoming);
  context.stage?.removeMarker(STAGE.ready);
  disarm(context);
  context.records.remove(ROOT_STATE.journal);
  context.records.remove(ROOT_STATE.rescuedJournal);
  return "stop";
}

/** Neither set can be had in full any more: somebody removed files. Say so, and block nothing. */
function giveUp(context: HookContext, journal: Journal): Recovery {
  recordOutcome(context, {
    state: "kept",
    version: journal.version,
    reason: "old_set_missing",
    detail: `cut off, and the previous ${missingForReturn(journal.files).join(", ")} is gone`,
  });
  context.records.setAside(ROOT_STATE.journal, "neither set of files is complete");
  disarm(context);
  return "continue";
}
