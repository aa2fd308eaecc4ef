"""The shape of a sample, and how a conversation becomes text.

`render` is the Python twin of the chat template in chat_template.jinja; the tests compare the two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
END_OF_TEXT = "<|endoftext|>"

Json = dict[str, Any]


class ToolCall(TypedDict):
    name: str
    arguments: Json


class Message(TypedDict):
    role: str
    content: NotRequired[str]
    calls: NotRequired[list[ToolCall]]
    # Every answer that counts as right; the content itself when absent. Never rendered.
    accept: NotRequired[list[str]]
    # A past call as a client sends it back: without spaces, and not for learning.
    compact: NotRequired[bool]


@dataclass
class Sample:
    """One conversation with the words that were drawn for it."""

    topic: str
    messages: list[Message]
    tools: list[Json] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str, accept: list[str] | None = None) -> Message:
    message: Message = {"role": "assistant", "content": text}
    if accept is not None:
        message["accept"] = accept
    return message


def call(name: str, arguments: Json) -> Message:
    return {"role": "assistant", "content": "", "calls": [{"name": name, "arguments": arguments}]}


def tool_result(content: str) -> Message:
    return {"role": "tool", "content": content}


def dumps(value: Any) -> str:
    """JSON as the template's tojson writes it: one line, a space after comma and colon."""
    return json.dumps(value, ensure_ascii=False)


def signature(tool: Json) -> str:
    """One line per tool, e.g. `get_weather(city: string) - the weather in a city`."""
    function = tool["function"]
    parameters = function.get("parameters") or {}
    required = parameters.get("required") or []
    parts = []
    for name, schema in (parameters.get("properties") or {}).items():
        kind = "|".join(str(v) for v in schema["enum"]) if schema.get("enum") else schema.get("type", "any")
        parts.append(f"{name}{'' if name in required else '?'}: {kind}")
    line = f"{function['name']}({', '.join(parts)})"
    return line + (f" - {function['description']}" if function.get("description") else "")


def assistant_body(message: Message) -> str:
    """What the assistant itself writes in its turn."""
    text = message.get("content") or ""
    for item in message.get("calls", []):
        text += "\n" if text else ""
        arguments = dumps(item["arguments"])
        if message.get("compact"):
            arguments = json.dumps(item["arguments"], ensure_ascii=False, separators=(",", ":"))
        text += '<tool_call>\n{"name": "' + item["name"] + '", "arguments": ' + arguments
        text += "}\n</tool_call>"
    return text


def _system(sample: Sample) -> str:
    first = sample.messages[0]
    own = first.get("content", "") if first["role"] == "system" else ""
    if sample.tools:
        own += "\n\n" if own else ""
        own += "Tools you may call with <tool_call>:\n<tools>\n"
        own += "".join(signature(tool) + "\n" for tool in sample.tools) + "</tools>"
    return f"{IM_START}system\n{own}{IM_END}\n" if own else ""


def render(sample: Sample) -> list[tuple[str, bool]]:
    """The conversation as pieces of text; True marks what the assistant must learn to write."""
    pieces: list[tuple[str, bool]] = [(_system(sample), False)]
    for message in sample.messages:
        content = message.get("content") or ""
        match message["role"]:
            case "user":
                pieces.append((f"{IM_START}user\n{content}{IM_END}\n", False))
            case "tool":
                body = f"<tool_response>\n{content}\n</tool_response>"
                pieces.append((f"{IM_START}user\n{body}{IM_END}\n", False))
            case "assistant":
                pieces.append((f"{IM_START}assistant\n", False))
                pieces.append((assistant_body(message) + IM_END, not message.get("compact")))
                pieces.append(("\n", False))
    return [piece for piece in pieces if piece[0]]


def text_of(sample: Sample) -> str:
    return "".join(piece for piece, _ in render(sample))
