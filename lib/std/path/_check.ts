/** Throws `TypeError` for what is no string: a caller without types may pass anything. */
export function assertPath(path: unknown): asserts path is string {
  if (typeof path === "string") return;
  throw new TypeError(`Path must be a string, received "${JSON.stringify(path)}"`);
}
