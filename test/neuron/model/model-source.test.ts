import { describe, expect, test } from "vitest";
import { parseModelSource } from "../../../src/neuron/model/model-source.ts";

describe("a source", () => {
  test.each([
    { model_id: "qwen", expected: { kind: "store", name: "qwen" } },
    { model_id: "org/qwen", expected: { kind: "store", name: "org/qwen" } },
    { model_id: "qwen3:8b", expected: { kind: "store", name: "qwen3:8b" } },
    { model_id: "x", source: "sub/qwen.gguf", expected: { kind: "store", name: "sub/qwen.gguf" } },
    { model_id: "x", source: "file:/srv/m.gguf", expected: { kind: "file", path: "/srv/m.gguf" } },
    { model_id: "x", source: "file:///srv/m.gguf", expected: { kind: "file", path: "/srv/m.gguf" } },
    { model_id: "x", source: "file:sub/m.gguf", expected: { kind: "file", path: "sub/m.gguf" } },
  ])("$source of $model_id is understood", ({ expected, ...spec }) => {
    expect(parseModelSource(spec)).toEqual({ ok: true, value: expected });
  });

  test.each([
    { source: "hf:org/x", code: "source_unsupported" },
    { source: "https://host.example/x.gguf", code: "source_unsupported" },
    { source: "weird://x", code: "source_unsupported" },
    { source: "/srv/m.gguf", code: "source_unsupported" },
    { source: "~/m.gguf", code: "source_unsupported" },
    { source: "file:", code: "source_unsupported" },
    { source: "file://host/m.gguf", code: "source_unsupported" },
    { source: "../m", code: "source_forbidden" },
    { source: "a/../../m", code: "source_forbidden" },
    { source: "a\\..\\m", code: "source_forbidden" },
    { source: "file:/srv/../etc/passwd", code: "source_forbidden" },
    { source: "m\0.gguf", code: "source_forbidden" },
  ])("$source is refused as $code", ({ source, code }) => {
    expect(parseModelSource({ model_id: "x", source })).toMatchObject({ ok: false, error: { code } });
  });

  test("an id that names a remote place is no store name", () => {
    expect(parseModelSource({ model_id: "hf:org/x" })).toMatchObject({
      error: { code: "source_unsupported" },
    });
    expect(parseModelSource({ model_id: "../x" })).toMatchObject({ error: { code: "source_forbidden" } });
  });
});
