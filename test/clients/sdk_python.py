"""The official Python SDKs against a gateway: sdk_python.py GATEWAY_URL NEURON_URL. One line of JSON for each check."""

import json
import os
import signal
import sys
import time
import urllib.request
from typing import Literal

import anthropic
import openai
from pydantic import BaseModel

GATEWAY, NEURON = sys.argv[1], sys.argv[2]
MODEL = "cortex/demo"

chat = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key="none", max_retries=0)
claude = anthropic.Anthropic(base_url=GATEWAY, api_key="none", max_retries=0)

QUESTION = [{"role": "user", "content": "What is cortex?"}]
WEATHER = [{"role": "user", "content": "What is the weather in Lisbon?"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DESCRIPTION = "Get the current weather in a city"
# The demo model says little of its own accord: a list that has to be long is long enough to die in.
LONG_LIST = {
    "type": "object",
    "properties": {"list": {"type": "array", "items": {"type": "boolean"}, "minItems": 300}},
    "required": ["list"],
    "additionalProperties": False,
}
LONG_FORMAT = {"type": "json_schema", "json_schema": {"name": "long", "schema": LONG_LIST}}


class Colour(BaseModel):
    colour: Literal["red", "green"]
    bright: bool


def expect(holds, detail):
    if not holds:
        raise AssertionError(detail)


def raises(kind, work):
    try:
        work()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def chat_whole_and_streamed():
    whole = chat.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, max_tokens=96)
    text, usage = "", None
    for chunk in chat.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        temperature=0,
        max_tokens=96,
        stream=True,
        stream_options={"include_usage": True},
    ):
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    expect(text == whole.choices[0].message.content != "", "streamed and whole differ")
    expect(usage.prompt_tokens == whole.usage.prompt_tokens, "their usage differs")


def chat_tools():
    tool = {"name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS}
    tools = [{"type": "function", "function": tool}]
    asked = {"model": MODEL, "temperature": 0, "max_tokens": 128, "tools": tools}
    first = chat.chat.completions.create(messages=WEATHER, **asked).choices[0].message
    call = first.tool_calls[0]
    expect("Lisbon" in json.loads(call.function.arguments)["city"], "another city")
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    with chat.chat.completions.stream(messages=[*WEATHER, first, result], **asked) as stream:
        stream.until_done()
        last = stream.get_final_completion().choices[0].message
    expect(last.content or last.tool_calls, "no answer to the result")


def chat_structured():
    parsed = chat.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Name a colour."}],
        response_format=Colour,
        temperature=0,
        max_tokens=128,
    )
    expect(isinstance(parsed.choices[0].message.parsed, Colour), "was not parsed")


def openai_errors():
    unknown = lambda: chat.chat.completions.create(model="org/none", messages=QUESTION)
    raises(openai.NotFoundError, unknown)
    long = [{"role": "user", "content": "word " * 20_000}]
    error = raises(openai.BadRequestError, lambda: chat.chat.completions.create(model=MODEL, messages=long))
    expect(error.code == "context_length_exceeded", error.code)


def embeddings():
    answer = chat.embeddings.create(model=MODEL, input=["one", "two"])
    expect(len(answer.data) == 2 and len(answer.data[0].embedding) > 8, "no vectors")


def responses_whole_streamed_tools():
    whole = chat.responses.create(model=MODEL, input="What is cortex?", temperature=0, max_output_tokens=96)
    asked = {"model": MODEL, "temperature": 0, "max_output_tokens": 96}
    with chat.responses.stream(input="What is cortex?", **asked) as stream:
        stream.until_done()
        streamed = stream.get_final_response()
    expect(streamed.output_text == whole.output_text != "", "streamed and whole differ")
    tool = {"type": "function", "name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS}
    first = chat.responses.create(input=WEATHER, tools=[{**tool, "strict": False}], **asked)
    call = next(item for item in first.output if item.type == "function_call")
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    again = [*WEATHER, {k: v for k, v in call.model_dump().items() if v is not None}, output]
    second = chat.responses.create(input=again, tools=[{**tool, "strict": False}], **asked)
    expect(second.status == "completed" and second.output, "no answer to the result")
    parsed = chat.responses.parse(input="Name a colour.", text_format=Colour, **asked)
    expect(isinstance(parsed.output_parsed, Colour), "was not parsed")


def messages_whole_and_streamed():
    asked = {"model": MODEL, "messages": QUESTION, "max_tokens": 96, "temperature": 0}
    try:
        whole = claude.messages.create(**asked)
    except TypeError:
        # Newer SDKs have left out how to sample.
        del asked["temperature"]
        whole = claude.messages.create(**asked, extra_body={"temperature": 0})
        asked["extra_body"] = {"temperature": 0}
    with claude.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    expect(text == whole.content[0].text != "", "streamed and whole differ")
    expect(final.usage.output_tokens == whole.usage.output_tokens, "their usage differs")
    count = claude.messages.count_tokens(model=MODEL, messages=QUESTION)
    told = whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0)
    expect(count.input_tokens == told, f"counted {count.input_tokens}, used {told}")


def messages_tools():
    tools = [{"name": "get_weather", "description": DESCRIPTION, "input_schema": PARAMETERS}]
    first = claude.messages.create(model=MODEL, messages=WEATHER, max_tokens=128, tools=tools)
    expect(first.stop_reason == "tool_use", first.stop_reason)
    call = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    again = [*WEATHER, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    with claude.messages.stream(model=MODEL, messages=again, max_tokens=128, tools=tools) as stream:
        final = stream.get_final_message()
    expect(final.content, "no answer to the result")


def messages_structured():
    config = {"format": {"type": "json_schema", "schema": Colour.model_json_schema()}}
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 128}
    whole = claude.messages.create(**asked, extra_body={"output_config": config})
    Colour.model_validate_json(whole.content[0].text)
    with claude.messages.stream(**asked, extra_body={"output_config": config}) as stream:
        Colour.model_validate_json("".join(stream.text_stream))
    if hasattr(claude.messages, "parse"):
        parsed = claude.messages.parse(**asked, output_format=Colour)
        expect(isinstance(parsed.parsed_output, Colour), "was not parsed")


def anthropic_errors():
    asked = {"messages": QUESTION, "max_tokens": 8}
    raises(anthropic.NotFoundError, lambda: claude.messages.create(model="org/none", **asked))
    long = [{"role": "user", "content": "word " * 20_000}]
    error = raises(
        anthropic.BadRequestError,
        lambda: claude.messages.create(model=MODEL, messages=long, max_tokens=8),
    )
    expect("prompt is too long" in str(error), str(error))


def openai_stream(on_chunk):
    with chat.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=1500, stream=True, response_format=LONG_FORMAT
    ) as stream:
        for chunk in stream:
            on_chunk(chunk)


def responses_stream(on_chunk):
    text = {"format": {"type": "json_schema", "name": "long", "schema": LONG_LIST}}
    with chat.responses.create(
        model=MODEL, input="What is cortex?", max_output_tokens=1500, stream=True, text=text
    ) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                on_chunk(event)


def anthropic_stream(on_chunk):
    config = {"format": {"type": "json_schema", "schema": LONG_LIST}}
    with claude.messages.create(
        model=MODEL,
        messages=QUESTION,
        max_tokens=1500,
        stream=True,
        extra_body={"output_config": config},
    ) as stream:
        for event in stream:
            if event.type == "content_block_delta":
                on_chunk(event)


STREAMS = {
    "chat": (openai_stream, openai.APIError),
    "responses": (responses_stream, openai.APIError),
    "messages": (anthropic_stream, anthropic.APIError),
}


class Left(Exception):
    pass


def leave(_chunk):
    raise Left


def answers_again():
    """A worker that died is started again: the gateway says when to come back."""
    patient = chat.with_options(max_retries=10)
    patient.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=4)


def leaving(name):
    stream, _error = STREAMS[name]
    # The model has one place: a client that has left must not hold it.
    started = time.monotonic()
    for _ in range(3):
        raises(Left, lambda: stream(leave))
    answers_again()
    expect(time.monotonic() - started < 5, "the place was not free at once")


def dying(name):
    stream, error = STREAMS[name]
    models = json.load(urllib.request.urlopen(f"{NEURON}/models"))["models"]
    killed = []

    def kill(_chunk):
        if not killed:
            killed.append(models[0]["pid"])
            os.kill(models[0]["pid"], signal.SIGKILL)

    try:
        stream(kill)
    except error:
        pass
    except Exception as other:  # A connection that breaks is raised as the transport's own error by some versions.
        expect("httpx" in type(other).__module__ or "httpcore" in type(other).__module__, repr(other))
    else:
        raise AssertionError("a stream whose worker died ended as if it were whole")
    answers_again()


CHECKS = {
    "openai: chat whole and streamed": chat_whole_and_streamed,
    "openai: chat tools over two turns": chat_tools,
    "openai: chat structured output": chat_structured,
    "openai: error classes": openai_errors,
    "openai: embeddings": embeddings,
    "openai: responses whole, streamed, tools, structured output": responses_whole_streamed_tools,
    "anthropic: messages whole and streamed, count_tokens": messages_whole_and_streamed,
    "anthropic: tools over two turns": messages_tools,
    "anthropic: structured output": messages_structured,
    "anthropic: error classes": anthropic_errors,
    **{f"{name}: leaving frees the place": (lambda name=name: leaving(name)) for name in STREAMS},
    **{f"{name}: a worker that dies raises": (lambda name=name: dying(name)) for name in STREAMS},
}

failed = 0
for check, work in CHECKS.items():
    try:
        work()
        print(json.dumps({"check": check, "passed": True, "detail": ""}), flush=True)
    except Exception as error:  # Every check is reported.
        failed += 1
        detail = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps({"check": check, "passed": False, "detail": detail}), flush=True)
sys.exit(1 if failed else 0)
