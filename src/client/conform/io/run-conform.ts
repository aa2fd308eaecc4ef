import { toCortexError, CortexError } from "../../../core/errors.ts";
import { parseJson } from "../../../core/json.ts";
import { RULES, type RuleName } from "../../grammar/rules.ts";
import type { ToldAnswer, ToldCall } from "../../grammar/stream-grammar.ts";
import type { ListedModel, Question } from "../conform-dialect.ts";
import { doneStep, tally, type ColdLoad, type ConformReport, type ConformStep } from "../conform-report.ts";
import { CONFORM_DIALECTS, type ConformDialectName } from "../dialects.ts";
import { judgeAnswer, judgeCounts, judgeRefusal } from "../judge-exchange.ts";
import type { Judgement } from "../judge-told.ts";
import { QUESTIONS } from "../questions.ts";
import { foreignRules } from "../rules-of-dialect.ts";
import { wrongRequests } from "../wrong-requests.ts";
import { judgeCancelling } from "./cancelling.ts";
import { coldLoad } from "./cold-load.ts";
import { exchange, type ServerUnderTest } from "./exchange.ts";

export interface RunConformOptions extends Omit<ServerUnderTest, "dialect"> {
  readonly dialect: ConformDialectName;
  /** Absent: the first of the list. */
  readonly model: string | undefined;
  /** A model that is not loaded, to look at what a client gets meanwhile. */
  readonly cold: string | undefined;
  /** What the model can hold, where its list does not say so. */
  readonly contextTokens: number | undefined;
  /** `client`: only what shows that a client of the dialect will work: it lists, streams, calls a tool, is refused. */
  readonly scope: "all" | "client";
  readonly onStep: (step: ConformStep) => void;
}

/** Asks a server all that is in the rules, one thing after the other. Throws where it does not answer at all. */
export async function runConform(options: RunConformOptions): Promise<ConformReport> {
  const dialect = CONFORM_DIALECTS[options.dialect];
  const { baseUrl, apiKey, clock, timeoutMs, signal } = options;
  const run = new ConformRun({ baseUrl, apiKey, clock, timeoutMs, signal, dialect }, options);
  const model = await run.listing();
  const cold = options.cold === undefined ? null : await run.cold(options.cold);
  if (options.scope === "client") {
    await run.clientSession(model.id);
  } else {
    await run.answers(model.id);
    await run.tools(model.id);
    await run.errors(model.id);
    await run.overflow(model);
    await run.cancelling(model.id);
  }
  const { steps } = run;
  const rules = tally(steps, foreignRules(dialect));
  return {
    url: baseUrl,
    dialect: options.dialect,
    model: model.id,
    conforms: steps.every(({ outcome }) => outcome !== "broken"),
    steps,
    rules,
    coldLoad: cold,
  };
}

interface Looked {
  readonly judgements: readonly Judgement[];
  readonly detail: string;
}

class ConformRun {
  readonly steps: ConformStep[] = [];
  readonly #server: ServerUnderTest;
  readonly #options: RunConformOptions;
  #callIds: string[] = [];

  constructor(server: ServerUnderTest, options: RunConformOptions) {
    this.#server = server;
    this.#options = options;
  }

  /** The model that everything else is asked of. */
  async listing(): Promise<ListedModel> {
    const { dialect } = this.#server;
    let models: readonly ListedModel[] = [];
    await this.#step("models", async () => {
      const { status, body } = await exchange(this.#server, { path: dialect.modelsPath });
      if (status !== 200)
        return broken("models-listed", `answered with HTTP ${status}: ${body.slice(0, 160)}`);
      try {
        models = dialect.models(parseJson(body));
      } catch (thrown) {
        return broken("models-listed", firstLine(thrown));
      }
      return { judgements: [kept("models-listed")], detail: `${models.length} listed` };
    });
    const wanted = this.#options.model;
    const model = wanted === undefined ? models[0] : (models.find(({ id }) => id === wanted) ?? bare(wanted));
    if (model !== undefined) return model;
    throw new CortexError("model_not_found", `${this.#server.baseUrl} lists no model that could be asked`, {
      next: "name one with --model",
    });
  }

  async cold(model: string): Promise<ColdLoad | null> {
    let report: ColdLoad | null = null;
    await this.#step("cold-load", async () => {
      const looked = await coldLoad(this.#server, model);
      report = looked.report;
      return looked;
    });
    return report;
  }

  /** A session of an agent in short. */
  async clientSession(model: string): Promise<void> {
    await this.#ask("streamed", model, { ...QUESTIONS.plain, stream: true });
    const told = await this.#ask("tool-streamed", model, { ...QUESTIONS.tool, stream: true });
    const [call] = told?.calls ?? [];
    if (call === undefined) this.#skip("tool-result", "the model has called no tool");
    else await this.#result("tool-result", model, { call, stream: true });
    await this.errors(model);
  }

  async answers(model: string): Promise<void> {
    const whole = await this.#ask("whole", model, QUESTIONS.plain);
    const streamed = await this.#ask("streamed", model, { ...QUESTIONS.plain, stream: true });
    await this.#step("usage", () =>
      Promise.resolve({ judgements: [judgeCounts(whole, streamed)], detail: "whole and streamed compared" }),
    );
    await this.#ask("cut-short", model, QUESTIONS.short);
    await this.#ask("cut-short-streamed", model, { ...QUESTIONS.short, stream: true });
    await this.#step("hints", async () => {
      const { dialect } = this.#server;
      const body = { ...dialect.body(model, QUESTIONS.short), ...dialect.hints };
      const answer = await exchange(this.#server, { body: JSON.stringify(body) });
      if (answer.status === 200) return { judgements: [kept("fields-tolerated")], detail: "taken" };
      return broken("fields-tolerated", `answered with HTTP ${answer.status}: ${answer.body.slice(0, 160)}`);
    });
  }

  async tools(model: string): Promise<void> {
    const asked = await this.#ask("tool", model, QUESTIONS.tool);
    const streamed = await this.#ask("tool-streamed", model, { ...QUESTIONS.tool, stream: true });
    await this.#ask("tool-demanded", model, QUESTIONS.demanded);
    const demanded = await this.#ask("tool-demanded-streamed", model, {
      ...QUESTIONS.demanded,
      stream: true,
    });
    await this.#ask("tool-without-arguments", model, { ...QUESTIONS.bare, stream: true });
    const call = [asked, streamed, demanded].flatMap((told) => told?.calls ?? [])[0];
    if (call === undefined) this.#skip("tool-result", "the model has called no tool");
    else {
      await this.#result("tool-result", model, { call, stream: false });
      await this.#result("tool-result-streamed", model, { call, stream: true });
    }
  }

  async errors(model: string): Promise<void> {
    const { dialect } = this.#server;
    await this.#step("errors", async () => {
      const judgements: Judgement[] = [];
      for (const wrong of wrongRequests(dialect, model)) {
        judgements.push(judgeRefusal(dialect, wrong, await exchange(this.#server, { body: wrong.body })));
      }
      return { judgements, detail: `${judgements.length} requests that are wrong` };
    });
  }

  async overflow({ id, context }: ListedModel): Promise<void> {
    const tokens = this.#options.contextTokens ?? context;
    const { dialect } = this.#server;
    if (dialect.knowsOverflow === null) return;
    if (tokens === null) {
      this.#skip("too-long", "the list does not say what the model can hold; --context does");
      return;
    }
    await this.#step("too-long", async () => {
      const body = dialect.body(id, { ...QUESTIONS.plain, text: "word ".repeat(tokens * 2) });
      const { status, body: answer } = await exchange(this.#server, { body: JSON.stringify(body) });
      if (dialect.knowsOverflow?.(status, parseJson(answer)) === true) {
        return { judgements: [kept("overflow-words")], detail: `refused with HTTP ${status}` };
      }
      return broken("overflow-words", `HTTP ${status}: ${answer.slice(0, 200)}`);
    });
  }

  async cancelling(model: string): Promise<void> {
    for (const stream of [true, false]) {
      await this.#step(stream ? "cancel-streamed" : "cancel-whole", () =>
        judgeCancelling(this.#server, model, stream),
      );
    }
  }

  async #ask(name: string, model: string, question: Question): Promise<ToldAnswer | undefined> {
    const { dialect } = this.#server;
    if (question.demand !== undefined && dialect.framing === "lines") return undefined;
    let told: ToldAnswer | undefined;
    await this.#step(name, async () => {
      const body = JSON.stringify(dialect.body(model, question));
      const answer = await exchange(this.#server, { body, stream: question.stream });
      const judged = judgeAnswer(dialect, { question, model, earlierIds: this.#callIds }, answer);
      ({ told } = judged);
      this.#callIds = [...this.#callIds, ...(told?.calls ?? []).map(({ id }) => id).filter(isGiven)];
      return { judgements: [judged], detail: inWords(told) };
    });
    return told;
  }

  async #result(
    name: string,
    model: string,
    { call, stream }: { readonly call: ToldCall; readonly stream: boolean },
  ): Promise<void> {
    const { dialect } = this.#server;
    await this.#step(name, async () => {
      const question = { ...QUESTIONS.tool, stream, called: { call, result: "18 degrees and sunny" } };
      const body = JSON.stringify(dialect.body(model, question));
      const answer = await exchange(this.#server, { body, stream });
      const judged = judgeAnswer(dialect, { question, model, earlierIds: this.#callIds }, answer);
      const taken =
        answer.status === 200
          ? kept("tool-result")
          : broken("tool-result", `answered with HTTP ${answer.status}`).judgements;
      return { judgements: [judged, taken].flat(), detail: inWords(judged.told) };
    });
  }

  #skip(name: string, detail: string): void {
    this.#add({ name, outcome: "not-done", detail, durationMs: 0, looked: [], breaches: [] });
  }

  async #step(name: string, work: () => Promise<Looked>): Promise<void> {
    const { clock, signal } = this.#server;
    const startedMs = clock.monotonicMs();
    const took = () => clock.monotonicMs() - startedMs;
    try {
      const { judgements, detail } = await work();
      this.#add(doneStep(name, judgements, { detail, durationMs: took() }));
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toCortexError(thrown);
      // A server that is not there at all is no finding about its dialect.
      if (error.code === "upstream_connection_error" && this.steps.length === 0) throw error;
      const { judgements, detail } = broken("answered", error.message);
      this.#add(doneStep(name, judgements, { detail, durationMs: took() }));
    }
  }

  #add(step: ConformStep): void {
    this.steps.push(step);
    this.#options.onStep(step);
  }
}

const isGiven = (id: string): boolean => id !== "" && !id.startsWith("unnamed-");
const bare = (id: string): ListedModel => ({ id, context: null });
const kept = (rule: RuleName): Judgement => ({ looked: [rule], breaches: [] });

const broken = (rule: RuleName, detail: string): Looked => ({
  judgements: [{ looked: [rule], breaches: [{ rule, detail }] }],
  detail: RULES[rule],
});

const firstLine = (thrown: unknown): string => {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replaceAll(/\s+/g, " ").slice(0, 200);
};

function inWords(told: ToldAnswer | undefined): string {
  if (told === undefined) return "";
  const calls = told.calls.map(({ name, json }) => `${name}(${json})`);
  const said = told.text === "" ? [] : [JSON.stringify(told.text.slice(0, 60))];
  return [...said, ...calls].join(" ");
}
