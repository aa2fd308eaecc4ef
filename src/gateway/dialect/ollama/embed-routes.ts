import { z } from "zod";
import type { AnswerIdentity, DialectRoute, TranslatedRequest } from "../contract/dialect.ts";
import { given, readRequest } from "../contract/read-request.ts";
import { usageSchema } from "../contract/openai-answer.ts";
import { durations } from "./answer.ts";
import { keepMsOf } from "./keep-alive.ts";
import { otherNameOf } from "./model-name.ts";
import { ollamaErrors } from "./ollama-error.ts";
import { embeddingsSchema, embedSchema } from "./ollama-shape.ts";

const answerSchema = z.looseObject({
  data: z.array(z.looseObject({ index: z.number(), embedding: z.array(z.number()) })),
  usage: usageSchema.nullish(),
});

/** Vectors in the order of what was asked, whatever order they came in. */
const vectorsOf = ({ data }: z.infer<typeof answerSchema>): number[][] =>
  data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);

interface Asked {
  readonly model: string;
  readonly input: string | readonly string[];
  readonly dimensions?: number | null | undefined;
  readonly keep_alive?: number | string | null | undefined;
}

function request(
  { model, input, dimensions, keep_alive: keepAlive }: Asked,
  whole: (answer: unknown) => unknown,
): TranslatedRequest {
  const otherName = otherNameOf(model);
  const keepMs = keepMsOf(keepAlive);
  return {
    model,
    ...(otherName === undefined ? {} : { otherName }),
    stream: false,
    maxOutputTokens: null,
    ...(keepMs === undefined ? {} : { keepMs }),
    body: { input, ...given("dimensions", dimensions) },
    answer: {
      whole,
      stream: () => {
        throw new Error("vectors are never streamed");
      },
    },
  };
}

/** `POST /api/embed`. */
export const EMBED_ROUTE: DialectRoute = {
  path: "/api/embed",
  upstreamPath: "/v1/embeddings",
  errors: ollamaErrors,
  withoutConversation: (body) => ({ ...body, input: "." }),
  translate(body, identity: AnswerIdentity) {
    const asked = readRequest(embedSchema, body);
    return request(asked, (answer) => {
      const read = answerSchema.parse(answer);
      return {
        model: asked.model,
        embeddings: vectorsOf(read),
        ...durations(identity, null),
        prompt_eval_count: read.usage?.prompt_tokens ?? 0,
      };
    });
  },
};

/** `POST /api/embeddings`: the older route, one text at a time. */
export const EMBEDDINGS_ROUTE: DialectRoute = {
  path: "/api/embeddings",
  upstreamPath: "/v1/embeddings",
  errors: ollamaErrors,
  withoutConversation: (body) => ({ ...body, prompt: "." }),
  translate(body) {
    const { prompt, ...asked } = readRequest(embeddingsSchema, body);
    return request({ ...asked, input: prompt }, (answer) => ({
      embedding: vectorsOf(answerSchema.parse(answer))[0] ?? [],
    }));
  },
};
