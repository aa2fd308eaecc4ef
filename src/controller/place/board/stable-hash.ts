/** 32-bit FNV-1a of a text: for ties that must fall the same way on every machine, not for security. */
export function stableHash(text: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let position = 0; position < text.length; position += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(position), 0x01_00_01_93);
  }
  return hash >>> 0;
}

/** Mixes two hashes so that each pair gets its own order. */
export function mixHashes(left: number, right: number): number {
  let mixed = Math.imul(left ^ (right >>> 15) ^ Math.imul(right, 0x9e_37_79_b1), 0x85_eb_ca_6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2_b2_ae_35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
