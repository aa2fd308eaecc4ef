"""Small sums, extraction to JSON and rewriting."""

from __future__ import annotations

from collections.abc import Callable

from .dialogue import Json, Message, Sample, assistant, dumps, user
from .source import Source, frames
from .words import in_split

SUM = frames("""
    what is {e}?
    what's {e}?
    {e}
    {e} =
    {e}?
    {e} = ?
    calculate {e}
    calculate {e}.
    compute {e}.
    how much is {e}?
    tell me {e}.
    can you calculate {e}?
    what is the result of {e}?
    what do you get for {e}?
    I need {e}.
    and {e}?
    solve {e}.
    + could you calculate {e}?
    + please calculate {e}.
    + what does {e} give?
    + give me {e}.
    + I want to know {e}.
    + evaluate {e}.
    + {e} please
    + what about {e}?
    + do you know {e}?
    + tell me what {e} is.
    + the answer to {e}?
    ! work out {e}.
    ! please compute {e}.
    ! could you tell me {e}?
    ! what does {e} make?
""")

SPOKEN = {
    "+": ("plus", "+", "+", "+"),
    "-": ("minus", "-", "-", "-"),
    "*": ("times", "*", "*", "x"),
    "/": ("divided by", "/", "/", ":"),
}


def _operands(source: Source) -> tuple[int, str, int]:
    """Sums up to 99 + 99, differences that stay positive, and the small multiplication table.

    The pair (a, op, b) decides the split for sums and differences. The table has only a hundred
    entries, so it is learnt by heart and only its sentence frames are held out.
    """
    rng = source.rng
    while True:
        op = rng.choice("++++----*")
        if op == "*":
            return rng.randint(1, 10), op, rng.randint(1, 10)
        top = rng.choice((9, 20, 99, 99, 99, 99))
        a, b = rng.randint(0, top), rng.randint(0, top)
        if op == "-" and b > a:
            a, b = b, a
        key = f"{a}{op}{b}"
        # One-digit sums are learnt by heart too.
        if max(a, b) < 10 or in_split(key, source.split):
            if max(a, b) >= 10:
                source.slots.append(key)
            return a, op, b


def _value(a: int, op: str, b: int) -> int:
    return a + b if op == "+" else a - b if op == "-" else a * b


TOO_HARD = "That sum is too hard for me. I can only do small ones."


def _hard_operands(source: Source) -> tuple[int, str, int]:
    """Beyond what the model can do: it shall say so instead of guessing."""
    op = source.pick("++--**/")
    if op in "+-":
        pair = [source.number(100, source.pick((999, 9999, 99999))), source.number(2, source.pick((99, 999, 99999)))]
    elif op == "*":
        pair = [source.number(11, source.pick((99, 999, 9999))), source.number(2, source.pick((9, 99, 999)))]
    else:
        pair = [source.number(2, source.pick((99, 999, 9999))), source.number(2, source.pick((9, 99, 999)))]
    if source.chance(0.4) and op != "-":
        pair.reverse()
    source.slots.append(f"{pair[0]}{op}{pair[1]}")
    return pair[0], op, pair[1]


def _sum_turns(source: Source, hard: float = 0.1) -> list[Message]:
    too_hard = source.chance(hard)
    a, op, b = _hard_operands(source) if too_hard else _operands(source)
    word = source.pick(SPOKEN[op])
    gap = "" if source.chance(0.15) and not word[0].isalpha() else " "
    text = source.frame(SUM).replace("{e}", f"{a}{gap}{word}{gap}{b}")
    text = source.polish(text) if source.chance(0.4) else text
    return [user(text), assistant(TOO_HARD if too_hard else f"{a} {op} {b} = {_value(a, op, b)}")]


def arithmetic(source: Source) -> Sample:
    train = source.split == "train"
    turns = source.pick((2, 4, 5, 6) if source.late else (1, 2, 3, 4)) if train else 1
    messages = [message for _ in range(turns) for message in _sum_turns(source, 0.1 if train else 0.0)]
    return Sample("arithmetic", messages, slots=source.take_slots())


def too_hard(source: Source) -> Sample:
    """Evaluation only; in training these are part of `arithmetic`."""
    return Sample("too_hard", _sum_turns(source, hard=1.0), slots=source.take_slots())


# Every record: the keys and the sentences that carry them.
RECORDS: list[tuple[tuple[str, ...], list[str]]] = [
    (("name", "city"), ["{name} lives in {city}.", "My name is {name} and I live in {city}.", "{name} is from {city}.",
                        "{name} moved to {city}.", "I am {name} from {city}.", "{name} works in {city} now."]),
    (("name", "age"), ["{name} is {age} years old.", "My name is {name} and I am {age}.", "{name}, aged {age}, won the race.",
                       "I am {name}, {age} years old."]),
    (("name", "job"), ["{name} is a {job}.", "{name} works as a {job}.", "My name is {name} and I am a {job}."]),
    (("item", "count"), ["I would like {count} {item}, please.", "We need {count} {item}.", "Please order {count} {item}.",
                         "There are {count} {item} in the store."]),
    (("name", "age", "city"), ["{name} is {age} and lives in {city}.", "{name}, {age}, comes from {city}.",
                               "My name is {name}, I am {age} and I live in {city}."]),
    (("item", "colour"), ["I want a {colour} {item}.", "The {item} are {colour}.", "We bought {colour} {item}."]),
    (("city", "day"), ["We meet in {city} on {day}.", "The train to {city} leaves on {day}.", "See you on {day} in {city}."]),
    (("name", "email"), ["Write to {name} at {email}.", "{name} has the address {email}.", "The email of {name} is {email}."]),
    (("model", "host"), ["The model {model} runs on {host}.", "{model} was loaded on {host}.", "Put {model} on {host}."]),
]  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

EXTRACT = frames("""
    Extract {k} as JSON: {t}
    Extract {k} as JSON.\\n{t}
    Give me {k} as JSON: {t}
    Return JSON with {k}: {t}
    {t} Extract {k} as JSON.
    {t}\\nReturn {k} as JSON.
    Write {k} as JSON: {t}
    Get {k} from this text as JSON: {t}
    Find {k} and answer with JSON: {t}
    Turn this into JSON with {k}: {t}
    Answer in JSON with the keys {k}: {t}
    + Extract {k}: {t}
    + Give {k} as JSON.\\n{t}
    + Read the text and return JSON with {k}.\\n{t}
    + JSON with {k} please: {t}
    + What are {k}? Answer in JSON. {t}
    + Parse this into JSON with {k}: {t}
    + From this text, return {k} as JSON: {t}
    + Put {k} into JSON: {t}
    + Convert to JSON ({k}): {t}
    + {t} Give me {k} as JSON.
    ! Please extract {k} as JSON: {t}
    ! Make JSON with {k} from: {t}
    ! Read this and give {k} as JSON: {t}
""")


def _fields(source: Source) -> dict[str, Callable[[], str | int]]:
    return {
        "name": source.name,
        "city": source.city,
        "job": source.job,
        "item": source.item,
        "colour": source.colour,
        "age": lambda: source.number(5, 99),
        "count": lambda: source.number(2, 900),
        "day": lambda: source.pick(DAYS),
        "email": lambda: f"{source.invented()}@{source.invented()}.{source.pick(('com', 'org', 'net', 'example'))}",
        "model": source.model,
        "host": source.host,
    }


def _joined(keys: list[str]) -> str:
    return " and ".join([", ".join(keys[:-1]), keys[-1]]) if len(keys) > 1 else keys[0]


def _extract_turns(source: Source) -> list[Message]:
    keys, sentences = source.pick(RECORDS)
    makers = _fields(source)
    values: Json = {key: makers[key]() for key in keys}
    text = source.pick(sentences)
    for key, value in values.items():
        text = text.replace("{" + key + "}", str(value))
    asked = list(keys)
    source.rng.shuffle(asked)
    if source.chance(0.15):
        asked = asked[:1]
    prompt = source.frame(EXTRACT).replace("\\n", "\n").replace("{k}", _joined(asked)).replace("{t}", text)
    return [user(prompt), assistant(dumps({key: values[key] for key in asked}))]


def extraction(source: Source) -> Sample:
    return Sample("extraction", _extract_turns(source), slots=source.take_slots())


REWRITES = {
    "first": frames("""
        what is the first word of: {t}
        first word: {t}
        give me the first word of "{t}"
        say only the first word: {t}
        which word comes first in "{t}"?
        + what is the first word? {t}
        + which is the first word of "{t}"?
        + the first word of {t}
        + return the first word: {t}
        + find the first word in "{t}"
        + show me only the first word of: {t}
        ! tell me the first word of: {t}
        ! write the first word of "{t}"
    """),
    "last": frames("""
        what is the last word of: {t}
        last word: {t}
        give me the last word of "{t}"
        say only the last word: {t}
        which word comes last in "{t}"?
        + what is the last word? {t}
        + which is the last word of "{t}"?
        + the last word of {t}
        + return the last word: {t}
        + find the last word in "{t}"
        + show me only the last word of: {t}
        ! tell me the last word of: {t}
        ! write the last word of "{t}"
    """),
    "swap": frames("""
        swap the two words: {t}
        swap: {t}
        reverse the order: {t}
        exchange the words "{t}"
        write these two words in reverse order: {t}
        turn the order around: {t}
        + swap "{t}"
        + swap the words: {t}
        + please swap: {t}
        + can you swap {t}?
        + exchange the two words: {t}
        + put the second word first: {t}
        + reverse these two words: {t}
        ! please swap these words: {t}
        ! write the two words the other way round: {t}
    """),
    "repeat": frames("""
        repeat: {t}
        repeat after me: {t}
        say exactly: {t}
        say "{t}"
        echo {t}
        write this again: {t}
        copy this: {t}
        + repeat "{t}"
        + please say: {t}
        + can you repeat "{t}"?
        + repeat the words: {t}
        + echo this: {t}
        + say: {t}
        + output exactly: {t}
        ! please repeat: {t}
        ! repeat this: {t}
    """),
    "list": frames("""
        make a list: {t}
        write as a list: {t}
        turn this into a bullet list: {t}
        list these: {t}
        make bullet points of: {t}
        + can you make a list of {t}?
        + put this in a list: {t}
        + bullet points: {t}
        + as a list: {t}
        + give me a list of: {t}
        + one per line: {t}
        + format as bullet points: {t}
        ! write a bullet list of: {t}
        ! please make a list of: {t}
    """),
    "polite": frames("""
        say it politely: {t}
        make this polite: {t}
        write this politely: {t}
        more polite: {t}
        be polite: {t}
        rewrite politely: {t}
        + politely: {t}
        + can you say this politely: {t}
        + make it more polite: {t}
        + turn this into a polite request: {t}
        + ask politely: {t}
        + rewrite this in a polite way: {t}
        + how do I say this politely: {t}
        ! please make it polite: {t}
        ! say this in a polite way: {t}
    """),
}

ORDERS = ("give me {n}", "close the {n}", "open the {n}", "bring the {n}", "call {p}", "send the {n} to {p}", "go to {c}",
          "wait for {p}", "clean the {n}", "tell {p} about the {n}", "stop the {n}", "show me the {n}")  # fmt: skip


def _rewrite_text(source: Source, kind: str) -> tuple[str, str]:
    """The text to rewrite and the right answer."""
    if kind == "swap":
        first, second = source.plain(), source.noun()
        return f"{first} {second}", f"{second} {first}"
    if kind == "list":
        found = [source.pick((source.item, source.noun))() for _ in range(source.pick((2, 3, 3, 4)))]
        return ", ".join(found), "\n".join(f"- {word}" for word in found)
    if kind == "polite":
        order = source.pick(ORDERS)
        for slot, make in (("{n}", source.noun), ("{p}", source.name), ("{c}", source.city)):
            if slot in order:
                order = order.replace(slot, make())
        return order, f"Could you please {order}? Thank you."
    makers = (source.plain, source.noun, source.invented, source.plain)
    found = [source.pick(makers)() for _ in range(source.pick((2, 3, 4, 5)))]
    text = " ".join(found)
    answer = {"first": found[0], "last": found[-1], "repeat": text}[kind]
    return text, answer


def _rewrite_turns(source: Source) -> list[Message]:
    kind = source.pick(list(REWRITES))
    text, answer = _rewrite_text(source, kind)
    frame = source.frame(REWRITES[kind])
    if source.chance(0.5):
        frame = frame[:1].upper() + frame[1:]
    return [user(frame.replace("{t}", text)), assistant(answer)]


def rewriting(source: Source) -> Sample:
    return Sample("rewriting", _rewrite_turns(source), slots=source.take_slots())
