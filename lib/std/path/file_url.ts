import { isAbsolute } from "./parts.ts";

/** The path a `file:` URL names. Throws `TypeError` for any other URL. */
export function fromFileUrl(url: URL | string): string {
  const { protocol, pathname } = new URL(url);
  if (protocol !== "file:") {
    throw new TypeError(`URL must be a file URL: received "${protocol}"`);
  }
  // A percent sign that starts no escape stands for itself: decoding would throw on it.
  return decodeURIComponent(pathname.replace(/%(?![0-9A-Fa-f]{2})/g, "%25"));
}

/** The `file:` URL of an absolute path. Throws `TypeError` for a relative one. */
export function toFileUrl(path: string): URL {
  if (!isAbsolute(path)) {
    throw new TypeError(`Path must be absolute: received "${path}"`);
  }
  const url = new URL("file:///");
  // The URL parser reads a backslash as a slash and drops tabs and line ends.
  url.pathname = path.replace(/[%\\\t\n\v\f\r ]/g, encodeURIComponent);
  return url;
}
