import type { ToolCallStream, ToolStreamEvent } from "../../src/worker/answer/tool-call-stream.ts";

export interface ReadCalls {
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly arguments: string }[];
  /** Calls that were opened and not closed. */
  readonly unfinished: number;
}

/** What a client puts together from the events. */
export function readCalls(stream: ToolCallStream, pieces: readonly string[]): ReadCalls {
  const events: ToolStreamEvent[] = pieces.flatMap((piece) => [...stream.push(piece)]);
  events.push(...stream.end());
  const calls: { name: string; arguments: string }[] = [];
  let text = "";
  let open = 0;
  for (const event of events) {
    if (event.kind === "text-written") text += event.text;
    if (event.kind === "call-opened") {
      calls[event.index] = { name: event.name, arguments: "" };
      open += 1;
    }
    if (event.kind === "call-closed") open -= 1;
    const call = event.kind === "call-written" ? calls[event.index] : undefined;
    if (event.kind === "call-written" && call !== undefined) call.arguments += event.text;
  }
  return { text, calls, unfinished: open };
}
