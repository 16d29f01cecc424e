/** Reading columns of a row. A value of another type means a foreign or damaged database. */

import { OngridError } from "../../cli/errors.ts";
import type { Row } from "./database.ts";

/** A text column. */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw damaged(column, value);
  return value;
}

/** A text column that may be null. */
export function optionalText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column);
}

/** An id column, in all its 64 bits. */
export function id(row: Row, column: string): bigint {
  const value = row[column];
  if (typeof value !== "bigint") throw damaged(column, value);
  return value;
}

/** An id column that may be null. */
export function optionalId(row: Row, column: string): bigint | undefined {
  return row[column] === null ? undefined : id(row, column);
}

/** A count or a time, which a double holds. */
export function integer(row: Row, column: string): number {
  return Number(id(row, column));
}

/** A count or a time that may be null. */
export function optionalInteger(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : integer(row, column);
}

/** Bytes. */
export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw damaged(column, value);
  return value;
}

/** A text column that holds one of `choices`. */
export function oneOf<T extends string>(row: Row, column: string, choices: readonly T[]): T {
  const value = text(row, column);
  const choice = choices.find((known) => known === value);
  if (choice === undefined) throw damaged(column, value);
  return choice;
}

function damaged(column: string, value: unknown): OngridError {
  return new OngridError(`Cannot read the database: column ${column} holds ${typeof value}`, {
    hint: "Another program wrote to it, or it is damaged: restore a backup.",
  });
}
