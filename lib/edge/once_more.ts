import { systemCode } from "../cli/errors.ts";

/**
 * Calls `act`, and once more where the system could not do it. What a disk yields at the second try
 * is not corrupt, and must not be set aside or judged as if it were; and an agent must not be started
 * on half a swap for an error that has passed.
 */
export function onceMore<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return act();
  }
}
