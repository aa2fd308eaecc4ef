/**
 * Chat templates in the manner of the model families that are used most: their turn marks, and the constructs that
 * make templates hard to render and to mark (trimming, splitting at `</think>`, slices, JSON, loops that look
 * back, namespaces, macros, roles that become part of a mark). Written for these tests.
 */
export interface FamilyTemplate {
  readonly source: string;
  readonly controls: readonly string[];
  /** Undefined where the family's template writes no tools. */
  readonly tools?: true;
  /** The template refuses a system message. */
  readonly noSystem?: true;
}

const CHATML = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
const LLAMA = [
  "<|begin_of_text|>",
  "<|start_header_id|>",
  "<|end_header_id|>",
  "<|eot_id|>",
  "<|python_tag|>",
];
const MISTRAL = [
  "<s>",
  "</s>",
  "[INST]",
  "[/INST]",
  "[AVAILABLE_TOOLS]",
  "[/AVAILABLE_TOOLS]",
  "[TOOL_CALLS]",
  "[TOOL_RESULTS]",
  "[/TOOL_RESULTS]",
  "[SYSTEM_PROMPT]",
  "[/SYSTEM_PROMPT]",
];

export const FAMILY_TEMPLATES: Readonly<Record<string, FamilyTemplate>> = {
  chatml: {
    controls: CHATML,
    source: `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
  },
  qwen3: {
    controls: CHATML,
    tools: true,
    source: `
{%- if tools %}{{- '<|im_start|>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}{{- '# Tools\\n<tools>' }}{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}{{- '\\n</tools><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}
{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}
{%- if ns.multi_step and message.role == 'user' and message.content is string and not (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}{%- set ns.multi_step = false %}{%- set ns.last = index %}{%- endif %}{%- endfor %}
{%- for message in messages %}{%- set content = message.content if message.content is string else '' %}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}{%- set reasoning_content = '' %}
{%- if message.reasoning_content is string %}{%- set reasoning_content = message.reasoning_content %}
{%- elif '</think>' in content %}{%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}
{%- if loop.index0 > ns.last and reasoning_content %}{{- '<|im_start|>assistant\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}{%- else %}{{- '<|im_start|>assistant\\n' + content }}{%- endif %}
{%- for call in message.tool_calls or [] %}{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}
{%- elif message.role == 'tool' %}{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}{{- '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}`,
  },
  "qwen3-coder": {
    controls: CHATML,
    tools: true,
    source: `{% macro extra(json_dict, handled) %}{%- if json_dict is mapping %}{%- for key in json_dict if key not in handled %}{{- '\\n<' ~ key ~ '>' }}{%- if json_dict[key] is mapping or (json_dict[key] is sequence and json_dict[key] is not string) %}{{- json_dict[key] | tojson | safe }}{%- else %}{{- json_dict[key] | string }}{%- endif %}{{- '</' ~ key ~ '>' }}{%- endfor %}{%- endif %}{% endmacro %}
{%- for message in messages if message.role == 'system' %}{{- '<|im_start|>system\\n' + message.content | trim + '<|im_end|>\\n' }}{%- endfor %}
{%- if tools is iterable and tools | length > 0 %}{{- '<|im_start|>system\\n<tools>' }}{%- for tool in tools %}{%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}{{- '\\n<function>\\n<name>' ~ tool.name ~ '</name>' }}{%- if tool.description is defined %}{{- '\\n<description>' ~ (tool.description | trim) ~ '</description>' }}{%- endif %}{{- extra(tool.parameters, ['type']) }}{{- '\\n</function>' }}{%- endfor %}{{- '</tools><|im_end|>\\n' }}{%- endif %}
{%- for message in messages %}{%- if message.role == 'user' %}{{- '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}{{- '<|im_start|>assistant\\n' + (message.content or '') | trim }}{%- for call in message.tool_calls or [] %}{{- '<tool_call>\\n<function=' ~ call.function.name ~ '>\\n' }}{%- for name, value in call.function.arguments | items %}{{- '<parameter=' ~ name ~ '>\\n' }}{{- value if value is string else value | tojson }}{{- '\\n</parameter>\\n' }}{%- endfor %}{{- '</function>\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}
{%- elif message.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>\\n' ~ message.content ~ '\\n</tool_response><|im_end|>\\n' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}`,
  },
  "llama-3": {
    controls: LLAMA,
    tools: true,
    source: `{{- bos_token }}{%- if not date_string is defined %}{%- set date_string = '26 Jul 2024' %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' + date_string + '\\n\\n' + system_message + '<|eot_id|>' }}
{%- if tools is not none and messages | length != 0 %}{%- set first = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}{{- '<|start_header_id|>user<|end_header_id|>\\n\\n' }}{%- for t in tools %}{{- t | tojson(indent=4) }}{{- '\\n\\n' }}{%- endfor %}{{- first + '<|eot_id|>' }}{%- endif %}
{%- for message in messages %}{%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message and message.tool_calls) %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- elif message.tool_calls %}{%- if not message.tool_calls | length == 1 %}{{- raise_exception('one call at a time') }}{%- endif %}{%- set call = message.tool_calls[0].function %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "' + call.name + '", "parameters": ' }}{{- call.arguments | tojson }}{{- '}<|eot_id|>' }}
{%- else %}{{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' }}{%- if message.content is mapping or message.content is iterable %}{{- message.content | tojson }}{%- else %}{{- message.content }}{%- endif %}{{- '<|eot_id|>' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}`,
  },
  "mistral-v7": {
    controls: MISTRAL,
    tools: true,
    source: `{{- bos_token }}{%- if messages[0]['role'] == 'system' %}{{- '[SYSTEM_PROMPT]' + messages[0]['content'] + '[/SYSTEM_PROMPT]' }}{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- set users = loop_messages | selectattr('role', 'equalto', 'user') | list %}
{%- for message in loop_messages %}{%- if message['role'] == 'user' %}{%- if tools is not none and message == users[-1] %}{{- '[AVAILABLE_TOOLS]' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}{%- endif %}{{- '[INST]' + message['content'] + '[/INST]' }}
{%- elif message['role'] == 'assistant' %}{%- if message.tool_calls is defined and message.tool_calls %}{{- '[TOOL_CALLS][' }}{%- for call in message.tool_calls %}{%- set out = call.function | tojson %}{{- out[:-1] }}{%- if not call.id is defined or call.id | length != 9 %}{{- raise_exception('ids have nine characters') }}{%- endif %}{{- ', "id": "' + call.id + '"}' }}{{- ', ' if not loop.last else ']' + eos_token }}{%- endfor %}{%- else %}{{- ' ' + message['content'] | trim + eos_token }}{%- endif %}
{%- elif message['role'] == 'tool' %}{{- '[TOOL_RESULTS]{"content": ' + message.content | string + ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}{%- endif %}{%- endfor %}`,
  },
  gemma: {
    controls: ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
    source: `{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = "" -%}{%- set loop_messages = messages -%}{%- endif -%}
{%- for message in loop_messages | rejectattr('role', 'equalto', 'tool') | rejectattr('tool_calls') -%}{%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}{{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}{%- if message['content'] is string -%}{{ message['content'] | trim }}{%- elif message['content'] is iterable -%}{%- for item in message['content'] -%}{{ item['text'] | trim }}{%- endfor -%}{%- endif -%}{{ '<end_of_turn>\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}`,
  },
  "phi-3": {
    controls: ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|endoftext|>"],
    source: `{% for message in messages %}{{ '<|' + message['role'] + '|>' + '\\n' + (message['content'] or '') + '<|end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}`,
  },
  deepseek: {
    controls: [
      "<｜begin▁of▁sentence｜>",
      "<｜end▁of▁sentence｜>",
      "<｜User｜>",
      "<｜Assistant｜>",
      "<｜tool▁calls▁begin｜>",
      "<｜tool▁call▁begin｜>",
      "<｜tool▁sep｜>",
      "<｜tool▁call▁end｜>",
      "<｜tool▁calls▁end｜>",
      "<｜tool▁output▁begin｜>",
      "<｜tool▁output▁end｜>",
    ],
    tools: true,
    source: `{% set ns = namespace(is_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first %}{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first = false %}{%- else %}{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}{% if tools %}{{ '\\n' + tools | tojson }}{% endif %}{%- for message in messages %}{% set content = message['content'] %}{%- if message['role'] == 'user' %}{{ '<｜User｜>' + content }}{%- elif message['role'] == 'assistant' %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{ '<｜Assistant｜>' }}{%- if message['tool_calls'] %}{{ '<｜tool▁calls▁begin｜>' }}{%- for tool in message['tool_calls'] %}{{ '<｜tool▁call▁begin｜>' + tool['function']['name'] + '<｜tool▁sep｜>' + tool['function']['arguments'] | tojson + '<｜tool▁call▁end｜>' }}{%- endfor %}{{ '<｜tool▁calls▁end｜><｜end▁of▁sentence｜>' }}{%- else %}{{ content + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- elif message['role'] == 'tool' %}{{ '<｜tool▁output▁begin｜>' + content + '<｜tool▁output▁end｜>' }}{%- endif %}{%- endfor -%}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}`,
  },
  "gpt-oss": {
    controls: [
      "<|start|>",
      "<|end|>",
      "<|message|>",
      "<|channel|>",
      "<|call|>",
      "<|return|>",
      "<|constrain|>",
    ],
    tools: true,
    source: `{%- macro types(spec) %}{%- if spec.type == 'string' %}{%- if spec.enum %}{{- '"' + spec.enum | join('" | "') + '"' }}{%- else %}{{- 'string' }}{%- endif %}{%- else %}{{- spec.type or 'any' }}{%- endif %}{%- endmacro %}
{{- '<|start|>system<|message|>Current date: 2026-01-01\\nReasoning: ' + (reasoning_effort or 'medium') + '<|end|>' }}
{%- if messages[0].role in ['system', 'developer'] %}{%- set developer = messages[0].content %}{%- set rest = messages[1:] %}{%- else %}{%- set developer = '' %}{%- set rest = messages %}{%- endif %}
{%- if developer or tools %}{{- '<|start|>developer<|message|># Instructions\\n\\n' + developer }}{%- for tool in tools or [] %}{{- '\\n// ' + (tool.function.description or '') + '\\ntype ' + tool.function.name + ' = (_: {' }}{%- for name, spec in tool.function.parameters.properties | items %}{{- '\\n' + name + ': ' }}{{- types(spec) }}{{- ',' }}{%- endfor %}{{- '}) => any;' }}{%- endfor %}{{- '<|end|>' }}{%- endif %}
{%- set last_tool_call = namespace(name=none) %}
{%- for message in rest -%}{%- if message.role == 'assistant' -%}{%- if message.content and ('<|channel|>analysis<|message|>' in message.content or '<|channel|>final<|message|>' in message.content) %}{{- raise_exception('channels do not belong into content') }}{%- endif %}
{%- if message.tool_calls %}{%- set call = message.tool_calls[0].function %}{{- '<|start|>assistant to=functions.' + call.name + '<|channel|>commentary json<|message|>' }}{{- call.arguments | tojson }}{{- '<|call|>' }}{%- set last_tool_call.name = call.name %}{%- else %}{{- '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|end|>' }}{%- endif %}
{%- elif message.role == 'tool' -%}{%- if last_tool_call.name is none %}{{- raise_exception('a result without a call') }}{%- endif %}{{- '<|start|>functions.' + last_tool_call.name + ' to=assistant<|channel|>commentary<|message|>' + message.content | tojson + '<|end|>' }}
{%- else -%}{{- '<|start|>user<|message|>' + message.content + '<|end|>' }}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|start|>assistant' }}{%- endif -%}`,
  },
  glm: {
    controls: ["[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
    tools: true,
    source: `[gMASK]<sop>{%- if tools -%}<|system|>
# Tools
{% for tool in tools %}{{ tool | tojson(ensure_ascii=False) }}
{% endfor %}{%- endif -%}
{%- macro visible_text(content) -%}{%- if content is string -%}{{- content }}{%- elif content is iterable and content is not mapping -%}{%- for item in content -%}{%- if item is mapping and item.type == 'text' -%}{{- item.text }}{%- endif -%}{%- endfor -%}{%- else -%}{{- content }}{%- endif -%}{%- endmacro -%}
{%- for m in messages %}{%- if m.role == 'user' %}<|user|>
{{ visible_text(m.content) }}{{- '/nothink' if (enable_thinking is defined and not enable_thinking and not visible_text(m.content).endswith('/nothink')) else '' -}}
{%- elif m.role == 'assistant' -%}<|assistant|>
{%- set content = visible_text(m.content) %}{%- if '</think>' in content %}{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}{{ '\\n' + content.strip() if content.strip() }}
{%- for tc in m.tool_calls or [] %}{{ '\\n<tool_call>' + tc.function.name }}
{% for k, v in tc.function.arguments.items() %}<arg_key>{{ k }}</arg_key>
<arg_value>{{ v | tojson(ensure_ascii=False) if v is not string else v }}</arg_value>
{% endfor %}</tool_call>{% endfor %}
{%- elif m.role == 'tool' -%}{%- if loop.first or (messages[loop.index0 - 1].role != 'tool') %}{{- '<|observation|>' }}{%- endif %}{{- '\\n<tool_response>\\n' + m.content + '\\n</tool_response>' }}
{%- elif m.role == 'system' -%}<|system|>
{{ visible_text(m.content) }}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}`,
  },
  granite: {
    controls: ["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"],
    tools: true,
    source: `{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set system_message = 'Knowledge Cutoff Date: April 2024.' %}{%- set loop_messages = messages %}{%- endif %}{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\\n' }}{%- if tools %}{{- '<|start_of_role|>available_tools<|end_of_role|>' }}{{- tools | tojson(indent=4) }}{{- '<|end_of_text|>\\n' }}{%- endif %}{%- if documents %}{%- for document in documents %}{{- document['text'] }}{%- endfor %}{%- endif %}{%- for message in loop_messages %}{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] }}{%- for call in message.tool_calls or [] %}{{- '<|tool_call|>' + call.function | tojson }}{%- endfor %}{{- '<|end_of_text|>\\n' }}{%- if loop.last and add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}{%- endfor %}`,
  },
  "command-r": {
    controls: [
      "<BOS_TOKEN>",
      "<|START_OF_TURN_TOKEN|>",
      "<|END_OF_TURN_TOKEN|>",
      "<|SYSTEM_TOKEN|>",
      "<|USER_TOKEN|>",
      "<|CHATBOT_TOKEN|>",
    ],
    source: `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% if system_message != false %}{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + system_message + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% for message in loop_messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% elif message['role'] == 'assistant' %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}`,
  },
  "llama-2": {
    controls: ["<s>", "</s>", "<unk>"],
    source: `{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}`,
  },
  zephyr: {
    controls: ["<s>", "</s>", "<unk>"],
    source: `{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\\n' + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}`,
  },
  smollm3: {
    controls: CHATML,
    tools: true,
    source: `{%- if enable_thinking is not defined -%}{%- set enable_thinking = true -%}{%- endif -%}{%- set system_message = messages[0].content if messages[0].role == 'system' else '' -%}{%- if '/no_think' in system_message -%}{%- set reasoning_mode = '/no_think' -%}{%- elif '/think' in system_message -%}{%- set reasoning_mode = '/think' -%}{%- else -%}{%- set reasoning_mode = '/think' if enable_thinking else '/no_think' -%}{%- endif -%}{%- set custom = system_message.replace('/no_think', '').replace('/think', '').rstrip() -%}{{- '<|im_start|>system\\nReasoning Mode: ' + reasoning_mode + '\\n' + custom }}{%- if tools -%}{%- set ns = namespace(text='') -%}{%- for tool in tools -%}{%- set ns.text = ns.text ~ (tool | tojson) ~ '\\n' -%}{%- endfor -%}{{- ns.text }}{%- endif -%}{{- '<|im_end|>\\n' }}{%- for message in messages -%}{%- set content = message.content if message.content is string else '' -%}{%- if message.role == 'user' -%}{{ '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}{%- elif message.role == 'assistant' -%}{% generation %}{{ '<|im_start|>assistant\\n' + content.lstrip('\\n') + '<|im_end|>\\n' }}{% endgeneration %}{%- elif message.role == 'tool' -%}{{ '<|im_start|>user\\n' + content + '<|im_end|>\\n' }}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}`,
  },
  kimi: {
    controls: [
      "<|im_system|>",
      "<|im_user|>",
      "<|im_assistant|>",
      "<|im_middle|>",
      "<|im_end|>",
      "<|tool_calls_section_begin|>",
      "<|tool_call_begin|>",
      "<|tool_call_argument_begin|>",
      "<|tool_call_end|>",
      "<|tool_calls_section_end|>",
    ],
    tools: true,
    source: `{%- if tools -%}<|im_system|>tool_declare<|im_middle|>{{ tools | tojson(separators=(',', ':')) }}<|im_end|>{%- endif -%}{%- for message in messages -%}{%- set role_name = message.get('name') or message['role'] -%}{%- if message['role'] == 'user' -%}<|im_user|>{{role_name}}<|im_middle|>{%- elif message['role'] == 'assistant' -%}<|im_assistant|>{{role_name}}<|im_middle|>{%- else -%}<|im_system|>{{role_name}}<|im_middle|>{%- endif -%}{%- if message['role'] == 'assistant' and message.get('tool_calls') -%}{%- if message['content'] -%}{{ message['content'] }}{%- endif -%}<|tool_calls_section_begin|>{%- for tool_call in message['tool_calls'] -%}<|tool_call_begin|>{{ tool_call['id'] }}<|tool_call_argument_begin|>{% if tool_call['function']['arguments'] is string %}{{ tool_call['function']['arguments'] }}{% else %}{{ tool_call['function']['arguments'] | tojson }}{% endif %}<|tool_call_end|>{%- endfor -%}<|tool_calls_section_end|>{%- elif message['role'] == 'tool' -%}## Return of {{ message.tool_call_id }}\n{{ message['content'] }}{%- elif message['content'] is string -%}{{ message['content'] }}{%- endif -%}<|im_end|>{%- endfor -%}{%- if add_generation_prompt -%}<|im_assistant|>assistant<|im_middle|>{%- endif -%}`,
  },
  "hermes-upper": {
    controls: CHATML,
    tools: true,
    source: `{%- for message in messages %}{{- '<|im_start|>' ~ message.role | upper | lower ~ '\\n' ~ (message.content | trim | replace('\\r\\n', '\\n') | indent(0)) ~ '<|im_end|>\\n' }}{%- endfor %}{%- if tools %}{{- tools | map(attribute='function') | map(attribute='name') | join(', ') }}{%- endif %}{{- '<|im_start|>assistant\\n' }}`,
  },
  exaone: {
    controls: ["[|system|]", "[|user|]", "[|assistant|]", "[|endofturn|]", "[BOS]"],
    source: `{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '[|system|][|endofturn|]\\n' }}{% endif %}{{ '[|' + message['role'] + '|]' + message['content'] }}{% if message['role'] == 'user' %}{{ '\\n' }}{% else %}{{ '[|endofturn|]\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}`,
  },
  minimax: {
    controls: ["]~!b[", "]~b]", "[e~["],
    tools: true,
    source: `{%- macro render_tools(tool_list) -%}{%- for tool in tool_list -%}<tool>{{ tool.function | tojson(ensure_ascii=False) }}</tool>\n{% endfor -%}{%- endmacro -%}{{- ']~!b[' ~ ']~b]system\\n' }}{%- if messages and messages[0].role == 'system' -%}{{- messages[0].content }}{%- set conversation = messages[1:] -%}{%- else -%}{%- set conversation = messages -%}{%- endif -%}{%- if tools -%}{{- render_tools(tools) }}{%- endif -%}{{- '[e~[\\n' }}{%- for message in conversation -%}{%- if message.role == 'assistant' -%}{{- ']~b]ai\\n' ~ message.content }}{%- for call in message.tool_calls or [] -%}{{- '<invoke name="' ~ call.function.name ~ '">' }}{%- for k, v in call.function.arguments.items() -%}{{- '<parameter name="' ~ k ~ '">' ~ (v | tojson(ensure_ascii=False) if v is not string else v) ~ '</parameter>' }}{%- endfor -%}{{- '</invoke>' }}{%- endfor -%}{%- else -%}{{- ']~b]' ~ message.role ~ '\\n' ~ message.content }}{%- endif -%}{{- '[e~[\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{- ']~b]ai\\n<think>\\n' }}{%- endif -%}`,
  },
  "seed-oss": {
    controls: [
      "<seed:bos>",
      "<seed:eos>",
      "<seed:think>",
      "</seed:think>",
      "<seed:tool_call>",
      "</seed:tool_call>",
    ],
    tools: true,
    source: `{%- macro py_type(t) -%}{{- {'string': 'str', 'integer': 'int'}.get(t, 'Any') -}}{%- endmacro -%}{%- if tools -%}{{ bos_token + 'system\\n' }}{%- for item in tools if item.type == 'function' %}def {{ item.function.name }}({% for key, value in item.function.parameters.properties.items() %}{{ key }}: {{ py_type(value.type) }}{% if not loop.last %}, {% endif %}{% endfor %})\n{% endfor %}{{ eos_token }}{%- endif -%}{%- for message in messages -%}{{ bos_token + message.role + '\\n' }}{%- if message.role == 'assistant' and '</seed:think>' in message.content -%}{{ message.content.split('</seed:think>')[-1].strip() }}{%- else -%}{{ message.content | trim }}{%- endif -%}{{ eos_token }}{%- endfor -%}{{ bos_token + 'assistant\\n' }}`,
  },
};
