import * as Flags from "@oclif/core/flags";

export const modelRootFlag = Flags.string({
  env: "CORTEX_MODEL_ROOT",
  helpValue: "DIR",
  summary: "model root that downloads are in: the first one of the neuron; default: the user's store",
});
