/** Stands for the port that the neuron chooses. */
export const PORT_PLACEHOLDER = "${PORT}";

/** The command as it is run. */
export const withPort = (command: readonly string[], port: number): string[] =>
  command.map((part) => part.replaceAll(PORT_PLACEHOLDER, String(port)));
