type Pairs = Map<object, object>;
type Keyed = Map<unknown, unknown> | Set<unknown>;

/** Classes whose text says everything about a value, though their state is hidden. */
const COMPARED_AS_TEXT: readonly object[] = [
  RegExp.prototype,
  URL.prototype,
  URLSearchParams.prototype,
  Intl.Locale.prototype,
];

/**
 * Deep equality as the assertions understand it: `0` equals `-0`, `NaN` equals `NaN`, the order of
 * keys does not count, an absent property differs from one that is `undefined`, instances of
 * different classes differ (a null prototype counts as a plain object), functions are equal only
 * when they are the same one. Cyclic structures are fine.
 *
 * Throws `TypeError` for `WeakMap` and `WeakSet`, whose content nobody can see.
 */
export function equal(a: unknown, b: unknown): boolean {
  return compare(a, b, new Map());
}

function compare(a: unknown, b: unknown, seen: Pairs): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (!isObject(a) || !isObject(b)) return false;
  if (a instanceof Date && b instanceof Date) {
    return Object.is(a.getTime(), b.getTime());
  }
  if (!samePrototype(a, b)) return false;
  if (a instanceof WeakMap || a instanceof WeakSet) {
    throw new TypeError(`Cannot compare ${a instanceof WeakMap ? "WeakMap" : "WeakSet"} instances`);
  }
  if (isTypedArray(a) && isTypedArray(b)) return sameElements(a, b);
  if (isBuffer(a) && isBuffer(b)) {
    return sameElements(new Uint8Array(a), new Uint8Array(b));
  }
  if (a instanceof WeakRef && b instanceof WeakRef) {
    return compare(a.deref(), b.deref(), seen);
  }
  // A pair met again below itself is a cycle: it is equal as far as it has been walked.
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  if (isKeyed(a) && isKeyed(b)) {
    return sameEntries(a, b, seen) && sameProperties(a, b, seen);
  }
  if (COMPARED_AS_TEXT.includes(Object.getPrototypeOf(a))) {
    return String(a) === String(b);
  }
  return sameProperties(a, b, seen);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isTypedArray(value: object): value is ArrayBufferView & ArrayLike<unknown> {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

function isBuffer(value: object): value is ArrayBufferLike {
  return value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}

function isKeyed(value: object): value is Keyed {
  return value instanceof Map || value instanceof Set;
}

function samePrototype(a: object, b: object): boolean {
  const plain = (value: object): unknown => Object.getPrototypeOf(value) ?? Object.prototype;
  return plain(a) === plain(b);
}

function sameElements(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i] && !Object.is(a[i], b[i])) return false;
  }
  return true;
}

/** A key that is an object matches any deeply equal key, so those need every pair tried. */
function sameEntries(a: Keyed, b: Keyed, seen: Pairs): boolean {
  if (a.size !== b.size) return false;
  const others = [...b.entries()];
  for (const [key, value] of a.entries()) {
    if (!isObject(key)) {
      if (!b.has(key)) return false;
      if (a instanceof Map && b instanceof Map && !compare(value, b.get(key), seen)) return false;
      continue;
    }
    const found = others.findIndex(([otherKey, otherValue]) =>
      compare(key, otherKey, new Map(seen)) &&
      compare(value, otherValue, new Map(seen))
    );
    if (found === -1) return false;
    others.splice(found, 1);
  }
  return true;
}

function sameProperties(a: object, b: object, seen: Pairs): boolean {
  if (Object.keys(a).length !== Object.keys(b).length) return false;
  const keys = isPlain(a) ? plainKeys(a, b) : new Set([...inheritedKeys(a), ...inheritedKeys(b)]);
  for (const key of keys) {
    if (key in a !== key in b) return false;
    if (!compare(Reflect.get(a, key), Reflect.get(b, key), seen)) return false;
  }
  return true;
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype ||
    prototype === Array.prototype ||
    isKeyed(value);
}

function plainKeys(a: object, b: object): Set<PropertyKey> {
  return new Set(Reflect.ownKeys({ ...a, ...b }));
}

/** State of a class instance may sit behind getters of its classes: those keys count as well. */
function inheritedKeys(value: object): PropertyKey[] {
  const keys: PropertyKey[] = [];
  let holder: object | null = value;
  while (holder !== null && holder !== Object.prototype) {
    keys.push(...Reflect.ownKeys(holder));
    holder = Object.getPrototypeOf(holder);
  }
  return keys;
}
