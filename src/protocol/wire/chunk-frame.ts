/** What ends an answer in chunks (RFC 9112, 7.1); none of ours has trailers. */
export const LAST_CHUNK = Buffer.from("0\r\n\r\n");

const CR = 0x0d;
const LF = 0x0a;

/** One chunk as it goes over the wire, in one piece: a write of one buffer costs the system less than one of three. */
export function frameChunk(bytes: Buffer): Buffer {
  const size = bytes.length.toString(16);
  const framed = Buffer.allocUnsafe(size.length + bytes.length + 4);
  framed.write(size, "latin1");
  const start = size.length + 2;
  framed[start - 2] = CR;
  framed[start - 1] = LF;
  bytes.copy(framed, start);
  framed[framed.length - 2] = CR;
  framed[framed.length - 1] = LF;
  return framed;
}
