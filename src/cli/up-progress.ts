import type { ChatAnswer, DemoEvent } from "../protocol/demo-events.ts";
import { paint } from "./print/paint.ts";
import { ApplyLines } from "./print/print-apply-progress.ts";
import { printPlan } from "./print/print-plan.ts";
import { wrapText } from "./print/wrap-text.ts";

/** Prints the way up as it happens: text for people, one JSON object a line with `--json`. */
export class UpProgress {
  readonly #options: { readonly json: boolean; readonly colour: boolean };
  readonly #lines: ApplyLines;

  constructor(options: { readonly json: boolean; readonly colour: boolean }) {
    this.#options = options;
    this.#lines = new ApplyLines(options);
  }

  show(event: DemoEvent): void {
    const text = this.#options.json ? `${JSON.stringify(event)}\n` : this.#text(event);
    process.stdout.write(text);
  }

  // oxlint-disable-next-line typescript/consistent-return -- every case returns; a missing one does not compile
  #text(event: DemoEvent): string {
    const { colour } = this.#options;
    switch (event.type) {
      case "repository":
        return `fleet repository ${event.directory} (${event.created ? "made now" : "as you left it"})\n`;
      case "started":
        return `neuron on ${event.devices.join(", ")}; gateway on ${event.gateway}\n\n`;
      case "plan":
        return `${wrapText(printPlan(event.plan, { colour }), process.stdout.columns)}\n\n`;
      case "apply":
        return line(this.#lines.print(event.event));
      case "question":
        return `\n${paint("you", "bold", colour)}    ${event.question}${toolNote(event.tools)}\n${paint("model", "bold", colour)}  `;
      case "text":
        return event.text;
      case "answer":
        return `${calls(event.answer)}\n${paint(speed(event.answer), "dim", colour)}\n`;
      case "failed":
        return `\nfailed, as a script may want it: ${event.error.message} (${event.error.code})\n`;
      case "up":
        return "";
    }
  }
}

const line = (text: string | undefined): string => (text === undefined || text === "" ? "" : `${text}\n`);

const toolNote = (tools: readonly string[]): string =>
  tools.length === 0 ? "" : `   (tools: ${tools.join(", ")})`;

const calls = (answer: ChatAnswer): string =>
  answer.toolCalls.map((call) => `calls ${call.name}(${call.arguments})`).join("; ");

function speed(answer: ChatAnswer): string {
  const rate = answer.tokensPerSecond === null ? "" : `, then ${answer.tokensPerSecond.toFixed(0)} tokens/s`;
  return `       ${answer.completionTokens} tokens; first after ${answer.firstTokenMs.toFixed(0)} ms${rate}`;
}
