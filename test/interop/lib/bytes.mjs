/** A buffer of n bytes that differs from that of any other size. */
export function bytes(n) {
  return Buffer.from(Array.from({ length: n }, (_, i) => (i * 31 + n) & 0xff));
}
