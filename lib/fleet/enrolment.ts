import { invalid } from "./api_error.ts";
import type { Effects } from "./effects.ts";
import type { EdgeRecord } from "./records.ts";
import { hashSecret, newEdgeCredentials } from "./secrets.ts";
import type { EdgeStore } from "./store.ts";
import { cleanText } from "./values.ts";

/** The longest name of an edge, in characters. */
const MAX_NAME_CHARS = 128;

/** A newly enrolled edge; nobody can ever be shown the secret again. */
export interface Enrolment {
  edge: EdgeRecord;
  secret: string;
}

/**
 * Enrols an edge under `name` (not empty, need not be unique).
 *
 * @throws {ApiError} `invalid`: no name, or one that is too long or holds control characters.
 */
export async function enrol(
  { edges, effects, name }: { edges: EdgeStore; effects: Effects; name: string },
): Promise<Enrolment> {
  const trimmed = name.trim();
  if (trimmed === "") throw invalid("name is required");
  if (trimmed !== cleanText(trimmed, MAX_NAME_CHARS)) {
    throw invalid(`name must be one line of at most ${MAX_NAME_CHARS} characters`);
  }
  const { accessKey, secret } = newEdgeCredentials(effects);
  const secretHash = hashSecret(secret);
  const edge = await edges.add({ name: trimmed, accessKey, secretHash, now: effects.now() });
  return { edge, secret };
}
