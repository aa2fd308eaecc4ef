"""Conversations that call the shipped tools: one step, two steps, and none when no tool fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import asked, shipped_tools, topics, wide
from .dialogue import Json, Message, Sample, assistant, call, dumps, tool_result, user
from .other_tools import distractor
from .source import Source
from .tool_frames import ASKED_MISSING, MISSING, NO_TOOL

UNITS = ("km miles meters feet inches cm mm yards kg pounds grams ounces liters gallons celsius fahrenheit kelvin hours minutes "
         "seconds days weeks knots bytes megabytes gigabytes acres hectares pints cups stones tonnes").split()  # fmt: skip
SKIES = ("sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "clear", "stormy")
SIGNS = {
    "+": ("plus", "+", "+"),
    "-": ("minus", "-", "-"),
    "*": ("times", "*", "*", "x"),
    "/": ("divided by", "/", "/"),
}
STATES = ("loaded", "loading", "ready", "draining", "failed", "unloaded")


@dataclass
class Step:
    """One tool call with its result and the sentence that tells it."""

    name: str
    arguments: Json
    result: str
    answer: str


def _weather(source: Source, city: str) -> tuple[Step, int, str]:
    degrees, sky = source.rng.randint(-20, 42), source.pick(SKIES)
    result: Json = {"city": city, "temperature": degrees, "sky": sky}
    if source.chance(0.3):
        result = {"temperature": degrees, "sky": sky}
    answer = f"It is {degrees} degrees and {sky} in {city}."
    return Step("get_weather", {"city": city}, dumps(result), answer), degrees, sky


def _clock(source: Source, city: str) -> tuple[Step, str]:
    clock = f"{source.rng.randint(0, 23):02d}:{source.rng.randint(0, 59):02d}"
    result = source.pick((dumps({"city": city, "time": clock}), dumps({"time": clock}), clock))
    return Step("get_time", {"city": city}, result, f"It is {clock} in {city}."), clock


def ask_weather(source: Source) -> tuple[str, Step]:
    city = source.city()
    return wide.wording(source, "get_weather").replace("{c}", wide.mark(source, city)), _weather(source, city)[0]


def ask_time(source: Source) -> tuple[str, Step]:
    city = source.city()
    return wide.wording(source, "get_time").replace("{c}", wide.mark(source, city)), _clock(source, city)[0]


def amount(source: Source) -> str:
    """A number as people write it."""
    if source.chance(0.3 if source.wide else 0.2):
        return f"{source.number(0, 99)}.{source.rng.randint(1, 9)}"
    if source.wide and source.chance(0.15):
        return str(source.even_number())
    return str(source.number(1, source.pick((9, 99, 999, 9999, 99999))))


def ask_sum(source: Source) -> tuple[str, Step]:
    numbers = [amount(source) for _ in range(source.pick((2, 2, 2, 2, 3)))]
    spoken, expression = numbers[0], numbers[0]
    tight = source.chance(0.1)
    for number in numbers[1:]:
        op = source.pick(list(SIGNS))
        word = source.pick(SIGNS[op])
        gap = "" if tight and not word[0].isalpha() else " "
        spoken += f"{gap}{word}{gap}{number}"
        expression += f" {op} {number}"
    result = amount(source)
    source.slots.append(expression)
    content = source.pick((result, dumps({"result": float(result) if "." in result else int(result)})))
    text = wide.wording(source, "calculate").replace("{e}", spoken)
    return text, Step("calculate", {"expression": expression}, content, f"{expression} = {result}")


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def ask_conversion(source: Source) -> tuple[str, Step]:
    value, result = amount(source), amount(source)
    first, second = source.rng.sample(UNITS, 2)
    if source.chance(0.25):
        first, second = source.invented(), source.invented()
    text = wide.wording(source, "convert_units").replace("{v}", value).replace("{a}", first).replace("{b}", second)
    arguments = {"value": _number(value), "from": first, "to": second}
    content = source.pick(
        (dumps({"value": _number(result), "unit": second}), dumps({"result": _number(result)}), result)
    )
    return text, Step("convert_units", arguments, content, f"{value} {first} is {result} {second}.")


def _names(models: list[str]) -> str:
    if not models:
        return "No model is loaded."
    if len(models) == 1:
        return f"The only model is {models[0]}."
    return f"The models are {', '.join(models[:-1])} and {models[-1]}."


def ask_list(source: Source) -> tuple[str, Step]:
    models = [source.model() for _ in range(source.pick((0, 1, 2, 2, 3)))]
    content = source.pick((dumps(models), dumps({"models": models})))
    return wide.wording(source, "list_models"), Step("list_models", {}, content, _names(models))


def _status(source: Source, model: str) -> Step:
    state, host = source.pick(STATES), source.host()
    if source.chance(0.5):
        result, answer = {"model": model, "status": state, "neuron": host}, f"{model} is {state} on {host}."
    else:
        result, answer = {"model": model, "status": state}, f"{model} is {state}."
    return Step("model_status", {"model": model}, dumps(result), answer)


def ask_status(source: Source) -> tuple[str, Step]:
    model = source.model()
    return wide.wording(source, "model_status").replace("{m}", wide.mark(source, model)), _status(source, model)


ASK: dict[str, Callable[[Source], tuple[str, Step]]] = {
    "get_weather": ask_weather,
    "get_time": ask_time,
    "calculate": ask_sum,
    "convert_units": ask_conversion,
    "list_models": ask_list,
    "model_status": ask_status,
}


def offer(source: Source, needed: list[str]) -> list[Json]:
    """The tools of a conversation: the whole shipped set, or some of them among strangers."""
    if source.split == "test" or source.chance(0.6 if source.wide else 0.35):
        return [shipped_tools.shipped(name) for name in shipped_tools.NAMES]
    names = set(needed) | {name for name in shipped_tools.NAMES if source.chance(0.25)}
    tools = [shipped_tools.varied(source, name) for name in sorted(names)]
    tools += [distractor(source) for _ in range(source.pick((0, 0, 1, 1, 2)))]
    source.rng.shuffle(tools)
    return tools


def play(steps: list[Step], answer: str) -> list[Message]:
    messages: list[Message] = []
    for step in steps:
        messages += [call(step.name, step.arguments), tool_result(step.result)]
    return [*messages, assistant(answer)]


# Other people name such tools differently: (tool names, parameter names).
ALIASES: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "get_weather": (("get_current_weather", "weather", "fetch_weather", "lookup_weather"),
                    {"city": ("location", "place", "town", "city_name")}),
    "get_time": (("get_current_time", "clock", "get_local_time", "time"), {"city": ("location", "place", "town", "zone")}),
    "calculate": (("calculator", "compute", "math", "eval"), {"expression": ("expr", "formula", "input", "sum")}),
    "convert_units": (("convert", "unit_converter", "convert_value"), {"value": ("amount", "number"), "from": ("from_unit", "source")}),
    "list_models": (("get_models", "models", "show_models"), {}),
    "model_status": (("get_model_status", "status", "describe_model"), {"model": ("model_id", "name", "id")}),
}  # fmt: skip
UNIT = {"type": "string", "enum": ["celsius", "fahrenheit"]}


def rename(source: Source, sample: Sample) -> Sample:
    """The same conversation with other tool and parameter names."""
    for name in shipped_tools.NAMES:
        others, keys = ALIASES[name]
        chosen = source.pick(others) if source.chance(0.7) else name
        renamed = {key: source.pick(options) for key, options in keys.items() if source.chance(0.6)}
        for tool in sample.tools:
            function = tool["function"]
            if function["name"] == name:
                schema = function["parameters"]
                schema["properties"] = {renamed.get(k, k): v for k, v in schema["properties"].items()}
                schema["required"] = [renamed.get(k, k) for k in schema["required"]]
                if name == "get_weather" and source.chance(0.4):
                    schema["properties"]["unit"] = dict(UNIT)
                function["name"] = chosen
        for message in sample.messages:
            for item in message.get("calls", []):
                if item["name"] == name:
                    item["name"] = chosen
                    item["arguments"] = {renamed.get(k, k): v for k, v in item["arguments"].items()}
    return sample


def one_step(source: Source) -> Sample:
    """One question and one call; in training sometimes two of them, or tools under other names."""
    sample = _one_step(source)
    return rename(source, sample) if source.split == "train" and source.chance(0.2) else sample


def _one_step(source: Source) -> Sample:
    name = source.pick(("get_weather", "get_weather", "get_time", "calculate", "calculate", "convert_units", "convert_units",
                        "list_models", "model_status", "model_status"))  # fmt: skip
    text, step = ASK[name](source)
    messages = [user(wide.polished(source, text)), *play([step], step.answer)]
    if source.split == "train" and source.chance(0.25):
        again, second = ASK[source.pick(shipped_tools.NAMES)](source)
        messages += [user(again), *play([second], second.answer)]
        return Sample("tool", messages, offer(source, [step.name, second.name]), source.take_slots())
    return Sample("tool", messages, offer(source, [name]), source.take_slots())


def two_steps(source: Source) -> Sample:
    kind = source.pick(("get_weather", "get_time", "both", "fahrenheit", "first"))
    if kind == "first":
        models = [source.model() for _ in range(source.pick((1, 2, 2, 3)))]
        status = _status(source, models[0])
        text, steps, answer = (
            wide.wording(source, "first"),
            [Step("list_models", {}, dumps(models), ""), status],
            status.answer,
        )
    elif kind == "fahrenheit":
        city = source.city()
        weather, degrees, _ = _weather(source, city)
        warm = round(degrees * 9 / 5 + 32)
        result = source.pick((dumps({"value": warm, "unit": "fahrenheit"}), dumps({"result": warm}), str(warm)))
        convert = Step("convert_units", {"value": degrees, "from": "celsius", "to": "fahrenheit"}, result, "")
        text = wide.wording(source, "fahrenheit").replace("{a}", wide.mark(source, city))
        steps = [weather, convert]
        answer = f"It is {warm} degrees fahrenheit in {city}."
    elif kind == "both":
        city = source.city()
        clock, time = _clock(source, city)
        weather, degrees, sky = _weather(source, city)
        text, steps = wide.wording(source, "both").replace("{a}", wide.mark(source, city)), [clock, weather]
        answer = f"It is {time}, {degrees} degrees and {sky} in {city}."
    else:
        a, b = source.city(), source.city()
        text = wide.wording(source, kind.replace("get", "two"))
        text = text.replace("{a}", a).replace("{b}", b)
        steps = [_weather(source, c)[0] if kind == "get_weather" else _clock(source, c)[0] for c in (a, b)]
        answer = " ".join(step.answer for step in steps)
    sample = Sample("two_steps", [user(wide.polished(source, text)), *play(steps, answer)], [], source.take_slots())
    sample.tools = offer(source, [step.name for step in steps])
    return rename(source, sample) if source.split == "train" and source.chance(0.15) else sample


def _missing(source: Source) -> tuple[str, list[Message]]:
    """A request that leaves out what its tool needs: the tool, and the question back."""
    if source.asked and (source.split == "test" or source.chance(0.5)):
        kind = source.pick(list(ASKED_MISSING))
        name, answer = ASKED_MISSING[kind]
        text = source.polish(source.frame(asked.frames(kind)))
    else:
        name, options, answer = source.pick(MISSING)
        text = source.frame(options.cut(" | "))
        if source.wide and source.chance(0.6):
            text = wide.without_slot(source, name)
    return name, [user(text), assistant(answer)]


def missing(source: Source) -> Sample:
    """Evaluation only: nothing but such requests."""
    name, messages = _missing(source)
    return Sample("tools_unused", messages, offer(source, [name]), source.take_slots())


def without_call(source: Source) -> Sample:
    """Tools are offered, but the right answer is in words."""
    kind = source.pick(("chat", "chat", "chat", "missing", "no_tool"))
    needed: list[str] = [source.pick(shipped_tools.NAMES)]
    if kind == "chat":
        messages = topics.chat_turns(source)
    elif kind == "missing":
        name, messages = _missing(source)
        needed = [name]
    else:
        options, _ = topics.CANNOT[1]
        messages = [user(source.polish(topics.fill(source, source.frame(options)))), assistant(NO_TOOL[0], NO_TOOL)]
    return Sample("tools_unused", messages, offer(source, needed), source.take_slots())
