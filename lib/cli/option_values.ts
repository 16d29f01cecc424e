import type { OptionSpec } from "./command_spec.ts";
import { formatDuration, MAX_DURATION_MS, parseDuration } from "./duration.ts";

/** What an option may be once it is parsed. */
export type AnyValue = boolean | string | number | readonly string[] | undefined;

/** Says why a text is not a value of the option; the caller adds where the text came from. */
export class BadValue {
  constructor(readonly reason: string) {}
}

/** Turns the text given for a single-valued option into its value. */
export function valueFromText(option: OptionSpec, text: string): AnyValue | BadValue {
  switch (option.type) {
    case "boolean":
      return booleanFrom(text);
    case "string":
      return text;
    case "integer":
      return integerFrom(text, option.min ?? 0, option.max ?? Number.MAX_SAFE_INTEGER);
    case "duration":
      return parseDuration(text) ?? new BadValue(
        `is not a duration such as 90, 30s, 5m or 1h30m, at most ${
          formatDuration(MAX_DURATION_MS)
        }`,
      );
    default:
      return option satisfies never;
  }
}

/** The value of an option that is neither on the command line nor in the environment. */
export function defaultValue(option: OptionSpec): AnyValue {
  if (option.type === "boolean") return false;
  return option.multiple ? [] : option.default;
}

function booleanFrom(text: string): boolean | BadValue {
  if (/^(?:1|true|yes|on)$/i.test(text)) return true;
  if (/^(?:0|false|no|off)$/i.test(text)) return false;
  return new BadValue("is neither true nor false");
}

function integerFrom(text: string, min: number, max: number): number | BadValue {
  const value = /^-?\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) return new BadValue("is not a whole number");
  if (value < min) return new BadValue(`is less than ${min}`);
  if (value > max) return new BadValue(`is more than ${max}`);
  return value;
}
