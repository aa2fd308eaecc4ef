import { createHash } from "node:crypto";

/**
 * Works out the answer to each question once. The laws of a file draw from one seed and so meet the same worlds one
 * after another (with CORTEX_TEST_SEED=random each meets its own): what one law has planned, the next need not plan
 * again. A question is known by its JSON; the answer is frozen, so that no law can change what another one sees.
 */
export function once<Question, Answer>(
  workOut: (question: Question) => Answer,
): (question: Question) => Answer {
  const answers = new Map<string, { readonly answer: Answer }>();
  return (question) => {
    const key = createHash("sha256").update(JSON.stringify(question)).digest("base64");
    const known = answers.get(key) ?? { answer: frozen(workOut(question)) };
    answers.set(key, known);
    return known.answer;
  };
}

/** Looks at no getter: it may cost much, and has nothing to freeze. */
function frozen<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const { value: inner } of Object.values(Object.getOwnPropertyDescriptors(value))) frozen(inner);
  return value;
}
