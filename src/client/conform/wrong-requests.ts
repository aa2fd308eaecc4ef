import type { ConformDialect, Question, WrongRequest } from "./conform-dialect.ts";

const HELLO: Question = { text: "hello", limit: 8, stream: false };
const NO_MODEL = "cortex-conform/no-such-model";

/** Requests that no server may answer. Those that are streamed must be refused before the stream begins. */
export function wrongRequests(dialect: ConformDialect, model: string): readonly WrongRequest[] {
  const right = dialect.body(model, HELLO);
  const { model: _model, ...nameless } = right;
  const messages = "messages" in right ? "messages" : "input";
  return [
    {
      what: "a model that is not there",
      body: JSON.stringify(dialect.body(NO_MODEL, HELLO)),
      statuses: [404],
    },
    {
      what: "a model that is not there, streamed",
      body: JSON.stringify(dialect.body(NO_MODEL, { ...HELLO, stream: true })),
      statuses: [404],
    },
    { what: "a body that is not JSON", body: '{"model": ', statuses: [400] },
    { what: "no model", body: JSON.stringify(nameless), statuses: dialect.wrongStatuses },
    {
      what: `\`${messages}\` is a number`,
      body: JSON.stringify({ ...right, [messages]: 7 }),
      statuses: dialect.wrongStatuses,
    },
  ];
}
