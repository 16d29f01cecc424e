/** Executables that a host cannot run, made from one that it can. */

const MACHINE_OFFSET = 18;
const AARCH64 = 183;
const X86_64 = 62;
const LOADER = "/lib64/ld-linux-x86-64.so.2";

/** The same program for another kind of processor. */
export function forOtherMachine(program: Uint8Array): Uint8Array {
  const copy = program.slice();
  const view = new DataView(copy.buffer);
  const machine = view.getUint16(MACHINE_OFFSET, true);
  view.setUint16(MACHINE_OFFSET, machine === X86_64 ? AARCH64 : X86_64, true);
  return copy;
}

/** The same program for a host with another C library: its loader is not there. */
export function withoutLoader(program: Uint8Array): Uint8Array {
  const copy = program.slice();
  const text = new TextDecoder("latin1").decode(copy);
  const at = text.indexOf(LOADER);
  if (at < 0) throw new Error(`the program does not name ${LOADER}`);
  copy.set(new TextEncoder().encode(LOADER.replace("ld-linux", "ld-other")), at);
  return copy;
}
