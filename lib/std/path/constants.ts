/** What separates the segments of a path. */
export const SEPARATOR = "/";

/** What separates the paths in a list such as `PATH`. */
export const DELIMITER = ":";
