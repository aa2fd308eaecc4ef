/** What came is no answer of HTTP/1.1 that can be trusted to have the length that it seems to have. */
export class MalformedAnswer extends Error {
  override readonly name = "MalformedAnswer";
  readonly code = "HPE_MALFORMED_ANSWER";
}
