import { createInterface } from "node:readline/promises";

/** Asks a person in the terminal. Ctrl-C and Ctrl-D are answers too: only `yes` is a yes. */
export async function askConsent(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`\n${question} Only \`yes\` does: `).catch(() => "");
  terminal.close();
  return answer.trim() === "yes";
}
