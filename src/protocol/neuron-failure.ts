import { z } from "zod";
import { CortexError, isErrorCode, type ErrorCode } from "../core/errors.ts";
import { errorEnvelopeSchema, fromErrorResponse, SHOULD_RETRY } from "./error-envelope.ts";

/**
 * What a call to a neuron failed of, as one kind of error for everybody who calls. A neuron that refuses says so in
 * its own words, which are kept. Everything else is trouble between it and the caller: no connection, no answer in
 * time, a token that it does not take, or an answer that no neuron gives. Trouble has `problem` in its details.
 */
export interface CalledNeuron {
  readonly name: string;
  readonly endpoint: string;
}

export interface NeuronAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed; undefined when it is not JSON. */
  readonly body: unknown;
}

/** Nothing of use came from the neuron; `problem` says why in words that need no manual. */
export function neuronTrouble(neuron: CalledNeuron, problem: string, cause?: unknown): CortexError {
  return trouble(neuron, "upstream_connection_error", { problem, ...(cause === undefined ? {} : { cause }) });
}

interface Trouble {
  readonly problem: string;
  readonly next?: string;
  readonly cause?: unknown;
  readonly retryAfterSecs?: number | null;
}

function trouble({ name, endpoint }: CalledNeuron, code: ErrorCode, found: Trouble): CortexError {
  const { problem, ...options } = found;
  return new CortexError(code, `${name} (${endpoint}): ${problem}`, {
    details: { neuron: name, endpoint, problem },
    ...options,
  });
}

/**
 * The error of an answer that is not 2xx. `Retry-After` is honoured in both of its forms, since the neuron knows
 * better than the error table how long it will be busy.
 */
export function neuronRefusal(neuron: CalledNeuron, answer: NeuronAnswer, nowMs: number): CortexError {
  const { status, body } = answer;
  const said = fromErrorResponse(status, body, fallbackCode(status));
  const waitSecs = retryAfterSecs(answer.headers["retry-after"], nowMs);
  const isFinal = answer.headers[SHOULD_RETRY] === "false";
  const retryAfter = isFinal
    ? { retryAfterSecs: null }
    : waitSecs === undefined
      ? {}
      : { retryAfterSecs: waitSecs };
  const spoken = errorEnvelopeSchema.safeParse(body).success;
  if (said.details["credential"] === "certificate") {
    return trouble(neuron, "unauthorized", { problem: said.message, next: said.next });
  }
  if (refusesToken(status, spoken ? said.code : null)) {
    const problem = `refuses the token (${spoken ? said.message : `HTTP ${status}`})`;
    return trouble(neuron, "unauthorized", {
      problem,
      next: "use the token that the neuron was started with",
    });
  }
  if (!spoken) return trouble(neuron, said.code, { problem: said.message, ...retryAfter });
  return new CortexError(said.code, said.message, {
    details: { ...said.details, neuron: neuron.name },
    next: said.next,
    ...(said.param === undefined ? {} : { param: said.param }),
    ...retryAfter,
  });
}

/** Of a job or an estimate: what a `CortexError` has, with its details beside. */
export const wireFailureSchema = z.looseObject({
  code: z.string(),
  message: z.string(),
  next: z.string(),
  /** The field of the request at fault; absent where there is none. */
  param: z.string().optional(),
  /** Trying again does not help, whatever the code says. */
  is_final: z.literal(true).optional(),
});
type WireFailure = z.infer<typeof wireFailureSchema>;

/** What a job or an estimate failed of, as it is told. */
export const failureOnTheWire = (failure: CortexError): WireFailure => ({
  ...failure.details,
  code: failure.code,
  message: failure.message,
  next: failure.next,
  ...(failure.param === undefined ? {} : { param: failure.param }),
  ...(failure.isFinal ? { is_final: true } : {}),
});

/** The same, read back; `fallback` for a code that is not known here. */
export function failureFromWire(told: WireFailure, fallback: ErrorCode): CortexError {
  const { code, message, next, param, is_final: isFinal, ...details } = told;
  const known = isErrorCode(code) ? code : fallback;
  return new CortexError(known, message, {
    details,
    ...(next === "" ? {} : { next }),
    ...(param === undefined ? {} : { param }),
    ...(isFinal === true ? { retryAfterSecs: null } : {}),
  });
}

/** 403 is also the status of errors that are not about the token, and their code says so. */
export const refusesToken = (status: number, code: string | null): boolean =>
  status === 401 || (status === 403 && (!isErrorCode(code) || code === "unauthorized"));

/** What a bare status means when the body is no envelope. */
function fallbackCode(status: number): ErrorCode {
  switch (status) {
    case 401:
    case 403:
      return "unauthorized";
    case 412:
      return "stale_generation";
    case 429:
      return "queue_full";
    case 503:
      return "draining";
    default:
      return "upstream_connection_error";
  }
}

/** Seconds to wait as a `Retry-After` says it, as a number or as a date; undefined when it says nothing of use. */
export function retryAfterSecs(header: string | string[] | undefined, nowMs: number): number | undefined {
  if (typeof header !== "string") return undefined;
  const text = header.trim();
  const secs = /^\d+$/.test(text) ? Number(text) : Math.ceil((Date.parse(text) - nowMs) / 1000);
  return Number.isFinite(secs) && secs > 0 ? secs : undefined;
}

/** The trouble in words, without the neuron's name; undefined when the neuron itself has spoken. */
export function neuronProblem(error: CortexError): string | undefined {
  const problem = error.details["problem"];
  return typeof problem === "string" ? problem : undefined;
}

/** The system's or the HTTP client's word for a failure: ECONNREFUSED, UND_ERR_SOCKET and so on. */
export function failureCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return "code" in thrown && typeof thrown.code === "string" ? thrown.code : thrown.name;
}

const FOREIGN_CERTIFICATE =
  "its certificate is not of an authority that is trusted here; cortex neuron invite, where the gateway runs, lets it join";

const CONNECTION_PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was cut",
  ENOTFOUND: "its host name is not known",
  EAI_AGAIN: "its host name cannot be looked up now",
  EHOSTUNREACH: "its host cannot be reached",
  ENETUNREACH: "its network cannot be reached",
  UND_ERR_SOCKET: "the connection was cut",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
  EPROTO: "it speaks no TLS; its `endpoint` would be http://",
  ERR_SSL_WRONG_VERSION_NUMBER: "it speaks no TLS; its `endpoint` would be http://",
  DEPTH_ZERO_SELF_SIGNED_CERT: FOREIGN_CERTIFICATE,
  SELF_SIGNED_CERT_IN_CHAIN: FOREIGN_CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: FOREIGN_CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: FOREIGN_CERTIFICATE,
  CERT_SIGNATURE_FAILURE: FOREIGN_CERTIFICATE,
  CERT_HAS_EXPIRED: "its certificate has expired: it has not reached the authority in time to renew",
};

/** A failed connection in words that need no manual. */
export const connectionProblem = (thrown: unknown): string =>
  CONNECTION_PROBLEMS[failureCode(thrown)] ?? (thrown instanceof Error ? thrown.message : String(thrown));
