import { CortexError } from "../../core/errors.ts";
import type { WorkerMessage } from "../../protocol/worker-messages.ts";

/** Why a worker could not load, as it says. */
export const failureOf = ({
  code,
  message,
  next,
  param,
  details,
}: Extract<WorkerMessage, { readonly kind: "load-failed" }>): CortexError =>
  new CortexError(code, message, {
    ...(next === undefined ? {} : { next }),
    ...(param === undefined ? {} : { param }),
    ...(details === undefined ? {} : { details }),
  });
