"""Tools that the demo does not ship: the model shall read a definition, not learn six names by heart."""

from __future__ import annotations

from .dialogue import Json, Message, Sample, assistant, call, dumps, tool_result, user
from .shipped_tools import tool
from .source import Source

VERBS = ("find check read open show start stop count print fetch load test scan update remove watch send create search delete "
         "rename lock order track build move copy play tune mark book rate sort").split()  # fmt: skip
THINGS = ("file ticket user page song note image job disk host branch report server event invoice parcel log recipe product "
          "room contact table record camera sensor queue project flight train key alarm lamp door stock word").split()  # fmt: skip
STRING_KEYS = ("name query id title path text label target value subject").split()
NUMBER_KEYS = ("count limit amount size level minutes number").split()

ASK_ONE = (
    "{v} the {t} {x}", "{v} the {t} {x}.", "{v} {t} {x}", "please {v} the {t} {x}.", "can you {v} the {t} {x}?",
    "I want you to {v} the {t} {x}.", "{v} a {t} called {x}", "{v} the {t} named {x}", "could you {v} the {t} {x}",
    "I need to {v} the {t} {x}.",
)  # fmt: skip
ASK_TWO = (
    "{v} the {t} {x} with {k} {y}", "{v} the {t} {x} with {k} {y}.", "please {v} the {t} {x}, {k} {y}.",
    "{v} {t} {x} {k} {y}", "can you {v} the {t} {x} with the {k} {y}?",
)  # fmt: skip


def _names(source: Source) -> tuple[str, str]:
    """Verb and thing; sometimes invented, so that the definition is the only guide."""
    verb = source.pick(VERBS) if source.chance(0.75) else source.invented()
    thing = source.pick(THINGS) if source.chance(0.75) else source.invented()
    return verb, thing


def _definition(source: Source, verb: str, thing: str, required: dict[str, str], optional: dict[str, str]) -> Json:
    name = source.pick(
        (f"{verb}_{thing}", f"{verb}_{thing}", f"{verb}_{thing}", f"{thing}_{verb}", f"{verb}{thing.capitalize()}")
    )
    description = source.pick((f"{verb} a {thing}", f"{verb} the {thing}", f"{verb.capitalize()} a {thing}", ""))
    return tool(name, description, required, optional)


def distractor(source: Source) -> Json:
    verb, thing = _names(source)
    required = {source.pick(STRING_KEYS): "string"} if source.chance(0.8) else {}
    optional = {source.pick(NUMBER_KEYS): source.pick(("integer", "number"))} if source.chance(0.3) else {}
    return _definition(source, verb, thing, required, optional)


def _argument(source: Source) -> str:
    kind = source.rng.random()
    if kind < 0.4:
        return source.invented()
    if kind < 0.6:
        return source.name()
    if kind < 0.8:
        return source.host()
    return f"{source.invented()} {source.noun()}"


def foreign(source: Source) -> Sample:
    """A call of a tool that was defined for this conversation only."""
    verb, thing = _names(source)
    key, word = source.pick(STRING_KEYS), _argument(source)
    arguments: Json = {key: word}
    required: dict[str, str] = {key: "string"}
    optional: dict[str, str] = {}
    if source.chance(0.35):
        extra, value = source.pick(NUMBER_KEYS), source.number(1, 999)
        arguments[extra] = value
        (required if source.chance(0.6) else optional)[extra] = "integer"
        text = source.pick(ASK_TWO).replace("{k}", extra).replace("{y}", str(value))
    else:
        if source.chance(0.3):
            optional = {source.pick(NUMBER_KEYS): "integer"}
        text = source.pick(ASK_ONE)
    text = text.replace("{v}", verb).replace("{t}", thing).replace("{x}", word)
    definition = _definition(source, verb, thing, required, optional)
    tools = [definition, *(distractor(source) for _ in range(source.pick((0, 1, 2, 3))))]
    source.rng.shuffle(tools)
    name = definition["function"]["name"]
    messages: list[Message] = [user(source.polish(text)), call(name, arguments)]
    if source.chance(0.6):
        messages += _outcome(source)
    return Sample("foreign_tool", messages, tools, source.take_slots())


def _outcome(source: Source) -> list[Message]:
    """A result of unknown shape, told as plainly as possible."""
    kind = source.pick(("text", "one", "ok", "error"))
    if kind == "text":
        text = f"{source.plain()} {source.noun()}"
        return [tool_result(text), assistant(f"The result is: {text}")]
    if kind == "one":
        key, value = (
            source.pick((*STRING_KEYS, *NUMBER_KEYS, "status", "result")),
            source.pick((source.invented, source.plain))(),
        )
        return [tool_result(dumps({key: value})), assistant(f"The {key} is {value}.")]
    if kind == "ok":
        return [tool_result(source.pick(('{"ok": true}', "done", "ok", '{"status": "ok"}'))), assistant("Done.")]
    reason = f"{source.plain()} {source.noun()}"
    content = source.pick((dumps({"error": reason}), f"Error: {reason}"))
    return [tool_result(content), assistant(f"The tool failed: {reason}")]
