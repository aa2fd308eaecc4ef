import { CortexError } from "../../core/errors.ts";
import { neuronBlockSchema } from "../../fleet/schema/fleet-schema.ts";

/** `--neuron NAME=URL`. Throws `usage_error`. */
export function namedEndpoint(text: string): { readonly name: string; readonly endpoint: string } {
  const at = text.indexOf("=");
  const checked = neuronBlockSchema.safeParse({
    name: text.slice(0, Math.max(0, at)),
    endpoint: text.slice(at + 1),
  });
  if (at > 0 && checked.success) return { name: checked.data.name, endpoint: checked.data.endpoint };
  throw new CortexError("usage_error", `--neuron ${text} is not NAME=URL`, {
    next: "cortex import --neuron beast=http://beast.internal:13131",
  });
}
