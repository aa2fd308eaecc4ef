import type { ErrorEnvelope } from "../../../protocol/error-envelope.ts";
import { errorBody } from "./ollama-error.ts";

/** A stream is lines of JSON; clients read no blank ones. */
export const LINES_TYPE = "application/x-ndjson";

export const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

export const errorLine = (envelope: ErrorEnvelope): string => line(errorBody(envelope));
