import { expect, test } from "vitest";
import { fallbackTemplate } from "../../../src/worker/engine/fallback-template.ts";
import { createChatPromptRenderer } from "../../../src/worker/engine/render-chat-prompt.ts";
import { controlsOf } from "../../support/worker/control-texts.ts";

const messages = [
  { role: "system" as const, content: "be brief" },
  { role: "user" as const, content: " hi " },
  { role: "assistant" as const, content: "yes?" },
  { role: "user" as const, content: "bye" },
];

test.each([
  [
    ["<|im_start|>", "<|im_end|>"],
    "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n hi <|im_end|>\n<|im_start|>assistant\nyes?<|im_end|>\n<|im_start|>user\nbye<|im_end|>\n<|im_start|>assistant\n",
  ],
  [
    ["<bos>", "<start_of_turn>", "<end_of_turn>"],
    "<bos><start_of_turn>user\nbe brief\n\nhi<end_of_turn>\n<start_of_turn>model\nyes?<end_of_turn>\n<start_of_turn>user\nbye<end_of_turn>\n<start_of_turn>model\n",
  ],
  [
    ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nbe brief<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nyes?<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nbye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
  ],
])("a vocabulary with %j", (marks, expected) => {
  const controls = controlsOf(marks);
  const source = fallbackTemplate(controls);
  const renderer = createChatPromptRenderer({ source, bosText: marks[0] ?? "", eosText: "", controls });
  expect(renderer.render({ messages, tools: [], variables: {} }).text).toBe(expected);
  expect(renderer.rendersTools).toBe(false);
});

test("without a family's marks nothing is guessed", () => {
  expect(fallbackTemplate(controlsOf(["<s>", "</s>", "<|im_start|>"]))).toBeNull();
});
