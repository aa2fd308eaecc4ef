/** An event with its name, which Anthropic's clients ask for. */
export const eventText = (name: string, data: unknown): string =>
  `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

export const PING = eventText("ping", { type: "ping" });
