"""The official Python SDKs while a model loads: sdk_cold.py GATEWAY_URL MODEL. One line of JSON for each SDK and dialect."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai

GATEWAY, MODEL = sys.argv[1], sys.argv[2]

# Time-outs are the SDKs' own.
chat = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key="none", max_retries=0)
claude = anthropic.Anthropic(base_url=GATEWAY, api_key="none", max_retries=0)

QUESTION = [{"role": "user", "content": "Are you there?"}]


def chat_whole():
    return chat.chat.completions.create(model=MODEL, messages=QUESTION).choices[0].message.content


def chat_streamed():
    stream = chat.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)


def responses_whole():
    return chat.responses.create(model=MODEL, input="Are you there?").output_text


def responses_streamed():
    with chat.responses.stream(model=MODEL, input="Are you there?") as stream:
        stream.until_done()
        return stream.get_final_response().output_text


def messages_whole():
    return claude.messages.create(model=MODEL, messages=QUESTION, max_tokens=64).content[0].text


def messages_streamed():
    with claude.messages.stream(model=MODEL, messages=QUESTION, max_tokens=64) as stream:
        return "".join(stream.text_stream)


CASES = {
    ("openai", "openai"): (chat_whole, chat_streamed),
    ("openai", "responses"): (responses_whole, responses_streamed),
    ("anthropic", "anthropic"): (messages_whole, messages_streamed),
}

# Reading the SDKs may take as long as the load: all ask at the same time.
print("ready", flush=True)
sys.stdin.readline()
started = time.monotonic()


def said(work):
    try:
        return work()
    except Exception as error:  # What was raised is the answer that is judged.
        return f"{type(error).__name__}: {error}"[:300]


with ThreadPoolExecutor(max_workers=8) as pool:
    asked = {key: [pool.submit(said, work) for work in works] for key, works in CASES.items()}
    for (name, dialect), futures in asked.items():
        answers = [future.result() for future in futures]
        seconds = round(time.monotonic() - started, 1)
        print(json.dumps({"name": name, "dialect": dialect, "answers": answers, "seconds": seconds}), flush=True)
