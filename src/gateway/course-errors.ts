import { CortexError } from "../core/errors.ts";

/* What a request is told that no replica has answered; a neuron's own words go to the client as they are. */

/** The model is in the catalogue and was taken away between look and request, time and again: that passes. */
export const comesAndGoes = ({
  modelId,
  neuron,
}: {
  readonly modelId: string;
  readonly neuron: string;
}): CortexError =>
  new CortexError(
    "model_loading",
    `${modelId} was taken away from ${neuron} before this request reached it`,
    {
      details: { model_id: modelId, neuron },
      retryAfterSecs: 2,
    },
  );

export const connectionError = (neuron: string, code: string): CortexError =>
  new CortexError(
    "upstream_connection_error",
    `neuron ${neuron} did not answer the request (${inWords(code)})`,
    {
      details: { neuron },
    },
  );

function inWords(code: string): string {
  if (code === "NEURON_SILENT") return "it said nothing for as long as is waited";
  return code === "NEURON_HUNG" ? "it hangs" : code;
}

/** A page, a redirect: its words and addresses are those of a network that is nobody's business. */
export const foreignAnswer = (neuron: string, status: number): CortexError =>
  new CortexError(
    "upstream_connection_error",
    `what answered for neuron ${neuron} is not one (HTTP ${status})`,
    {
      details: { neuron },
      next: "check what stands between the gateway and the neuron: `cortex status`",
    },
  );

/** The gateway's own credentials are wrong: nothing that a client could mend. */
export const refusedToken = (neuron: string, status: number): CortexError =>
  new CortexError(
    "upstream_connection_error",
    `neuron ${neuron} refuses the gateway's token (HTTP ${status})`,
    {
      details: { neuron },
      next: "start the gateway with the token that the neuron was started with",
    },
  );
