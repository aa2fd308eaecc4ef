import { describe, expect, test } from "vitest";
import { supervisorMessageSchema, workerMessageSchema } from "../../src/protocol/worker-messages.ts";

describe("messages between neuron and worker", () => {
  test("a start with the least it needs", () => {
    const start = {
      kind: "start-worker",
      socket_path: "/run/w.sock",
      model_path: "/m.gguf",
      model_id: "m",
      parallel: 1,
      gpu: false,
    };
    expect(supervisorMessageSchema.parse(start)).toEqual(start);
    expect(supervisorMessageSchema.safeParse({ ...start, parallel: 0 }).success).toBe(false);
  });

  test.each([
    [{ kind: "load-progressed", fraction: 0.5 }, true],
    [{ kind: "load-progressed", fraction: 2 }, false],
    [{ kind: "load-failed", code: "model_file_invalid", message: "bad" }, true],
    [{ kind: "load-failed", code: "toString", message: "bad" }, false],
    [{ kind: "unknown" }, false],
  ])("%j is understood: %s", (message, understood) => {
    expect(workerMessageSchema.safeParse(message).success).toBe(understood);
  });
});
