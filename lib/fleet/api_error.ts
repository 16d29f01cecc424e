import { OngridError } from "../cli/errors.ts";

/** The codes of the HTTP API's errors; scripts go by them, so they never change. */
export type ApiCode =
  | "invalid"
  | "unauthorized"
  | "forbidden"
  | "not-found"
  | "conflict"
  | "too-large"
  | "too-many-requests"
  | "unavailable"
  | "not-wired-yet"
  | "internal";

const STATUS: Record<ApiCode, number> = {
  "invalid": 400,
  "unauthorized": 401,
  "forbidden": 403,
  "not-found": 404,
  "conflict": 409,
  "too-large": 413,
  "too-many-requests": 429,
  "internal": 500,
  "not-wired-yet": 501,
  "unavailable": 503,
};

/**
 * Returned when a request to the HTTP API cannot be served; becomes the body
 * `{"error", "code", "hint"?}` with the status that belongs to the code.
 */
export class ApiError extends OngridError {
  override readonly name: string = "ApiError";
  /** Which kind of failure, for scripts. */
  readonly code: ApiCode;

  constructor(code: ApiCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }

  /** The HTTP status of the answer. */
  get status(): number {
    return STATUS[this.code];
  }
}

/** An `invalid` error with the prefix the existing manager's clients know. */
export function invalid(what: string, hint?: string): ApiError {
  return new ApiError("invalid", `invalid argument: ${what}`, hint === undefined ? {} : { hint });
}
