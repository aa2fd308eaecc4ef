import { h, type ComponentChild } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import {
  beginAnswer,
  endAnswer,
  noteChunk,
  noteComment,
  timingsOf,
  type ChatAnswer,
} from "../chat-answer.ts";
import { formatDuration } from "../../core/quantities.ts";
import type { ModelEntry } from "../../protocol/gateway-api.ts";
import type { FleetSight } from "./fleet-feed.ts";
import type { GatewayClient } from "./gateway-client.ts";

interface ChatProps {
  readonly client: GatewayClient;
  readonly sight: FleetSight;
}

/** A question with its answer. */
interface Turn {
  readonly id: number;
  readonly model: string;
  readonly question: string;
  readonly answer: ChatAnswer;
  /** The neuron that answered; empty until it is known. */
  readonly neuron: string;
}

/** Models that can chat: asked anew when what is loaded changes, since the list says that too. */
function useModels({ client, sight }: ChatProps): {
  readonly models: readonly ModelEntry[];
  readonly problem: string | null;
} {
  const [seen, setSeen] = useState<{ models: readonly ModelEntry[]; problem: string | null }>({
    models: [],
    problem: null,
  });
  const loaded = sight.state?.health.models.loaded;
  useEffect(() => {
    let isGone = false;
    const look = async () => {
      try {
        const models = await client.models();
        if (!isGone) setSeen({ models: models.filter(canChat), problem: null });
      } catch (thrown) {
        const problem = thrown instanceof Error ? thrown.message : String(thrown);
        if (!isGone) setSeen((last) => ({ ...last, problem }));
      }
    };
    void look();
    return () => {
      isGone = true;
    };
  }, [client, loaded]);
  return seen;
}

const canChat = ({ capabilities }: ModelEntry): boolean =>
  capabilities.length === 0 || capabilities.includes("text") || capabilities.includes("chat");

interface Asking {
  readonly model: string;
  readonly system: string;
  readonly maxTokens: number | null;
}

/** The conversation, and what is done with it. */
function useConversation(client: GatewayClient) {
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const [stop, setStop] = useState<AbortController | null>(null);
  const ids = useRef(0);
  const ask = async (question: string, { model, system, maxTokens }: Asking): Promise<void> => {
    ids.current += 1;
    const id = ids.current;
    const controller = new AbortController();
    const change = (to: (turn: Turn) => Turn) => {
      setTurns((all) => all.map((turn) => (turn.id === id ? to(turn) : turn)));
    };
    const answering = (to: (answer: ChatAnswer) => ChatAnswer) => {
      change((turn) => ({ ...turn, answer: to(turn.answer) }));
    };
    const messages = [
      ...(system.trim() === "" ? [] : [{ role: "system", content: system }]),
      ...turns.flatMap((turn) => [
        { role: "user", content: turn.question },
        { role: "assistant", content: turn.answer.text },
      ]),
      { role: "user", content: question },
    ];
    setTurns((all) => [...all, { id, model, question, answer: beginAnswer(performance.now()), neuron: "" }]);
    setStop(controller);
    try {
      const reader = {
        onData: (data: unknown) => {
          answering((answer) => noteChunk(answer, data, performance.now()));
        },
        onComment: (comment: string) => {
          answering((answer) => noteComment(answer, comment));
        },
      };
      const neuron = await client.chat({ model, messages, maxTokens }, reader, controller.signal);
      change((turn) => ({ ...turn, neuron, answer: endAnswer(turn.answer, performance.now()) }));
    } catch (thrown) {
      const problem = controller.signal.aborted
        ? "stopped"
        : thrown instanceof Error
          ? thrown.message
          : String(thrown);
      answering((answer) => endAnswer(answer, performance.now(), problem));
    }
    setStop(null);
  };
  const clear = () => {
    stop?.abort();
    setTurns([]);
  };
  return { turns, stop, ask, clear };
}

export function ChatView(props: ChatProps): ComponentChild {
  const { models, problem } = useModels(props);
  const { turns, stop, ask, clear } = useConversation(props.client);
  const [chosen, setChosen] = useState("");
  const [system, setSystem] = useState("");
  const [maxTokens, setMaxTokens] = useState("");
  const model = models.some(({ id }) => id === chosen) ? chosen : firstChoice(models);
  return h(
    "div",
    { class: "chat" },
    h(
      "section",
      { class: "card settings", "aria-labelledby": "chat-settings" },
      h("h2", { id: "chat-settings" }, "Chat"),
      problem === null ? null : h("p", { class: "problem", role: "alert" }, problem),
      h("label", { for: "model" }, "Model"),
      h(
        "select",
        { id: "model", value: model, onChange: (event: Event) => setChosen(textOf(event)) },
        models.map((entry) => h("option", { key: entry.id, value: entry.id }, optionText(entry))),
      ),
      h("label", { for: "system" }, "System prompt"),
      h("textarea", {
        id: "system",
        rows: 3,
        value: system,
        onInput: (event: Event) => setSystem(textOf(event)),
      }),
      h("label", { for: "max-tokens" }, "Tokens at most"),
      h("input", {
        id: "max-tokens",
        inputMode: "numeric",
        pattern: "[0-9]*",
        placeholder: "as the model likes",
        value: maxTokens,
        onInput: (event: Event) => setMaxTokens(textOf(event)),
      }),
      h("button", { type: "button", onClick: clear, disabled: turns.length === 0 }, "New conversation"),
      h(
        "p",
        { class: "note" },
        "Questions go through the gateway like any client's, and count as usage of the key.",
      ),
    ),
    h(
      "section",
      { class: "card talk", "aria-label": "Conversation" },
      h(Turns, { turns, isAnswering: stop !== null }),
      h(QuestionForm, {
        canAsk: model !== "" && stop === null,
        stop,
        onAsk: (question) => {
          const most = /^\d+$/.test(maxTokens) ? Number(maxTokens) : null;
          void ask(question, { model, system, maxTokens: most });
        },
      }),
    ),
  );
}

const textOf = (event: Event): string =>
  (event.currentTarget as HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement).value;

const firstChoice = (models: readonly ModelEntry[]): string =>
  (models.find(({ loaded, alias_of: alias }) => loaded && alias === undefined) ?? models[0])?.id ?? "";

const optionText = ({ id, loaded, alias_of: target }: ModelEntry): string =>
  `${id}${target === undefined ? "" : ` → ${target}`}${loaded ? "" : " (loads first)"}`;

function Turns({
  turns,
  isAnswering,
}: {
  readonly turns: readonly Turn[];
  readonly isAnswering: boolean;
}): ComponentChild {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    place.current?.scrollTo({ top: place.current.scrollHeight });
  }, [turns]);
  return h(
    "div",
    {
      class: "turns",
      ref: place,
      role: "log",
      "aria-label": "Questions and answers",
      "aria-busy": isAnswering,
      tabIndex: 0,
    },
    turns.length === 0
      ? h("p", { class: "empty" }, "Ask a model something. Answers stream as they are made.")
      : null,
    turns.map((turn) => h(TurnView, { key: turn.id, turn })),
  );
}

function TurnView({ turn: { question, answer, model, neuron } }: { readonly turn: Turn }): ComponentChild {
  const isRunning = answer.endedAtMs === null;
  return h(
    "article",
    { class: "turn" },
    h("p", { class: "question" }, question),
    h(
      "div",
      { class: "answer" },
      h("p", { class: "note" }, neuron === "" ? model : `${model} on ${neuron}`),
      answer.reasoning === ""
        ? null
        : h(
            "details",
            { open: answer.text === "" },
            h("summary", null, "Reasoning"),
            h("p", null, answer.reasoning),
          ),
      isRunning && answer.firstTokenAtMs === null
        ? h(
            "p",
            { class: "waiting" },
            answer.waitingFor === "" ? "waiting for the first token" : answer.waitingFor,
          )
        : null,
      h("p", { class: isRunning ? "text running" : "text" }, answer.text),
      answer.problem === null ? null : h("p", { class: "problem" }, answer.problem),
      isRunning ? null : h("p", { class: "note" }, timingText(answer)),
    ),
  );
}

function timingText(answer: ChatAnswer): string {
  const timings = timingsOf(answer);
  const { usage, finishReason } = answer;
  const parts = [
    ...(timings === null ? [] : [`first token after ${formatDuration(timings.firstTokenMs)}`]),
    ...(usage === null ? [] : [`${usage.promptTokens} + ${usage.completionTokens} tokens`]),
    ...(timings?.tokensPerSec == null ? [] : [`${timings.tokensPerSec.toFixed(1)} tokens/s`]),
    ...(finishReason === null || finishReason === "stop" ? [] : [`ended by ${finishReason}`]),
  ];
  return parts.join(" · ");
}

interface QuestionProps {
  readonly canAsk: boolean;
  readonly stop: AbortController | null;
  readonly onAsk: (question: string) => void;
}

function QuestionForm({ canAsk, stop, onAsk }: QuestionProps): ComponentChild {
  const [text, setText] = useState("");
  const send = () => {
    if (!canAsk || text.trim() === "") return;
    onAsk(text.trim());
    setText("");
  };
  return h(
    "form",
    {
      class: "ask",
      onSubmit: (event: Event) => {
        event.preventDefault();
        send();
      },
    },
    h("label", { for: "question", class: "unseen" }, "Question"),
    h("textarea", {
      id: "question",
      rows: 2,
      placeholder: "Ask something. Enter sends, Shift+Enter makes a line.",
      value: text,
      onInput: (event: Event) => setText(textOf(event)),
      onKeyDown: (event: KeyboardEvent) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        send();
      },
    }),
    stop === null
      ? h("button", { type: "submit", class: "main", disabled: !canAsk }, "Send")
      : h("button", { type: "button", class: "main stop", onClick: () => stop.abort() }, "Stop"),
  );
}
