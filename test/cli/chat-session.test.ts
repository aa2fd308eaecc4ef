import { PassThrough, Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { ChatSession, type ChatSource } from "../../src/cli/chat-session.ts";
import type { AnswerPiece } from "../../src/cli/chat/answer-tally.ts";
import type { SaidMessage } from "../../src/cli/chat/conversation.ts";
import { CortexError } from "../../src/core/errors.ts";
import { eventually } from "../support/eventually.ts";
import { ManualClock } from "../support/manual-clock.ts";

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";

type Asked = { readonly model: string; readonly messages: readonly SaidMessage[] };

function startChat(ask: ChatSource["ask"]) {
  const keyboard = new PassThrough();
  let shown = "";
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      shown += chunk.toString();
      done();
    },
  });
  const session = new ChatSession({
    source: { ask, models: () => Promise.resolve(["org/a", "org/b"]) },
    conversation: { model: "org/a", system: null, said: [] },
    input: keyboard,
    output,
    look: { colour: false, unicode: true },
    address: "http://gateway",
    clock: new ManualClock(),
  });
  const running = session.run();
  const shows = (text: string) => eventually(() => expect(shown).toContain(text));
  return { keyboard, running, shows, shown: () => shown };
}

async function* pieces(...told: readonly AnswerPiece[]): AsyncGenerator<AnswerPiece> {
  for (const piece of told) yield await Promise.resolve(piece);
}

/** Says one word, and then nothing until it is stopped. */
async function* endless(signal: AbortSignal): AsyncGenerator<AnswerPiece> {
  yield { kind: "text", text: "Once" };
  await new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });
}

describe("a conversation", () => {
  test("goes on with all that was said, under the system prompt, with the model that was chosen", async () => {
    const asked: Asked[] = [];
    const chat = startChat((question) => {
      asked.push(question);
      return pieces({ kind: "text", text: `answer ${asked.length}` }, { kind: "finished", reason: "stop" });
    });
    chat.keyboard.write("one\r");
    await chat.shows("answer 1\n");
    chat.keyboard.write("/system Be brief.\r/model org/b\rtwo \\\rand more\r");
    await chat.shows("answer 2\n");
    chat.keyboard.write(CTRL_D);
    await chat.running;
    expect(asked[1]).toEqual({
      model: "org/b",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "one" },
        { role: "assistant", content: "answer 1" },
        { role: "user", content: "two \nand more" },
      ],
    });
  });

  test("Ctrl-C stops an answer, what came of it stays said, and the next Ctrl-C leaves", async () => {
    const asked: Asked[] = [];
    const chat = startChat((question, signal) => {
      asked.push(question);
      return endless(signal);
    });
    chat.keyboard.write("tell\r");
    await chat.shows("Once");
    chat.keyboard.write(CTRL_C);
    await chat.shows("stopped");
    chat.keyboard.write("/retry\r");
    await eventually(() => expect(asked).toHaveLength(2));
    expect(asked[1]?.messages).toEqual([{ role: "user", content: "tell" }]);
    chat.keyboard.write(CTRL_C);
    await eventually(() => expect(chat.shown().split("stopped")).toHaveLength(3));
    chat.keyboard.write(CTRL_C);
    await chat.running;
    expect(chat.shown()).toContain("Ctrl-C again leaves");
  });

  test("Ctrl-C at the prompt says what the next one does", async () => {
    const chat = startChat(() => pieces());
    await chat.shows("> ");
    chat.keyboard.write(`half a line${CTRL_C}`);
    await chat.shows("Ctrl-C again leaves");
    chat.keyboard.write(CTRL_C);
    await expect(chat.running).resolves.toBeUndefined();
  });

  test("what is waited for is shown until the answer comes", async () => {
    const chat = startChat(() =>
      pieces({ kind: "waiting", text: "loading org/a on beast, 40 %" }, { kind: "text", text: "there" }),
    );
    chat.keyboard.write("hello\r");
    await chat.shows("there\n");
    expect(chat.shown()).toContain("loading org/a on beast, 40 %\r\u001B[Kthere\n");
    chat.keyboard.write("/quit\r");
    await chat.running;
  });

  test("an error is said with its next step, and its question is not asked again along with the next", async () => {
    const asked: Asked[] = [];
    const chat = startChat((question) => {
      asked.push(question);
      if (asked.length === 1) throw new CortexError("queue_full", "too many wait");
      return pieces({ kind: "text", text: "now" });
    });
    chat.keyboard.write("one\r");
    await chat.shows("too many wait");
    chat.keyboard.write("two\r");
    await chat.shows("now\n");
    expect(asked[1]?.messages).toEqual([{ role: "user", content: "two" }]);
    chat.keyboard.write("/quit\r");
    await chat.running;
  });

  test("a model that is not offered is not chosen", async () => {
    const chat = startChat(() => pieces());
    chat.keyboard.write("/model org/z\r/models\r");
    await chat.shows("no model org/z is offered");
    await chat.shows("  org/b");
    expect(chat.shown()).toContain("* org/a\n  org/b");
    chat.keyboard.write(CTRL_D);
    await chat.running;
  });
});
