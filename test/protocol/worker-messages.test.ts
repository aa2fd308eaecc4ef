import { describe, expect, test } from "vitest";
import { supervisorMessageSchema, workerMessageSchema } from "../../src/protocol/worker-messages.ts";

describe("messages between neuron and worker", () => {
  test("a start with the least it needs", () => {
    const start = {
      type: "start",
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
    [{ type: "progress", fraction: 0.5 }, true],
    [{ type: "progress", fraction: 2 }, false],
    [{ type: "failed", code: "model_file_invalid", message: "bad" }, true],
    [{ type: "failed", code: "toString", message: "bad" }, false],
    [{ type: "unknown" }, false],
  ])("%j is understood: %s", (message, understood) => {
    expect(workerMessageSchema.safeParse(message).success).toBe(understood);
  });
});
