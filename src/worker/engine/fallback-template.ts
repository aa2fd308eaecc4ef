import type { ControlTexts } from "./control-texts.ts";

/**
 * The chat format of a file that brings no template, told by the turn marks that its vocabulary has as control
 * tokens: a vocabulary with a family's marks was made for that family's format. Without any of them nothing is
 * guessed.
 */
const FORMATS: readonly { readonly marks: readonly string[]; readonly source: string }[] = [
  {
    marks: ["<|im_start|>", "<|im_end|>"],
    source:
      "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}{{ '<|im_start|>assistant\n' }}",
  },
  {
    marks: ["<start_of_turn>", "<end_of_turn>"],
    source: `{{ bos_token }}{% if messages[0].role == 'system' %}{% set prefix = messages[0].content + '\n\n' %}{% set turns = messages[1:] %}{% else %}{% set prefix = '' %}{% set turns = messages %}{% endif %}{% for message in turns %}{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' + (prefix if loop.first else '') + message.content | trim + '<end_of_turn>\n' }}{% endfor %}{{ '<start_of_turn>model\n' }}`,
  },
  {
    marks: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    source:
      "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}",
  },
];

export function fallbackTemplate(controls: ControlTexts): string | null {
  const isControl = (mark: string): boolean => controls.at(mark, 0)?.text === mark;
  return FORMATS.find((format) => format.marks.every(isControl))?.source ?? null;
}
