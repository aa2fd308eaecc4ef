/** What an answer may be long where neither request nor model says. */
const DEFAULT_OUTPUT_TOKENS = 4096;
/** English and code take about four bytes a token. */
const BYTES_PER_TOKEN = 4;

export interface ReservationFacts {
  readonly bodyBytes: number;
  /** The request's own limit of its answer. */
  readonly maxOutputTokens: number | null;
  /** How many answers it asks for. */
  readonly answers: number;
  /** The catalogue's `limit.output` of the model. */
  readonly modelOutputTokens: number | null;
}

/** The tokens that a request is expected to cost at most: what is reserved before it is sent, and given back after it. */
export function reservationTokens(facts: ReservationFacts): number {
  const { bodyBytes, maxOutputTokens, answers, modelOutputTokens } = facts;
  const output = maxOutputTokens ?? modelOutputTokens ?? DEFAULT_OUTPUT_TOKENS;
  return tokensOfText(bodyBytes) + output * answers;
}

/** Where nobody has counted. */
export const tokensOfText = (bodyBytes: number): number => Math.ceil(bodyBytes / BYTES_PER_TOKEN);
