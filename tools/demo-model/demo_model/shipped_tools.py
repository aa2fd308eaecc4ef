"""The tools that the demo ships, as OpenAI function definitions, with other wordings for training."""

from __future__ import annotations

from .dialogue import Json
from .source import Source


def tool(name: str, description: str, required: dict[str, str], optional: dict[str, str] | None = None) -> Json:
    """A function definition; parameters are given as {name: type}."""
    optional = optional or {}
    properties = {key: {"type": kind} for key, kind in (required | optional).items()}
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


DESCRIPTIONS: dict[str, tuple[str, ...]] = {
    "get_weather": ("Current weather in a city", "The weather of a city", "Get the weather for a place", ""),
    "get_time": ("Local time in a city", "The time of a city", "Get the current time in a place", ""),
    "calculate": ("Evaluate an arithmetic expression", "A calculator", "Work out a sum", ""),
    "convert_units": ("Convert a value between units", "Unit conversion", "Change a value to another unit", ""),
    "list_models": ("List the loaded models", "Names of the models of the fleet", "Show all models", ""),
    "model_status": ("Status of one model", "Tell the state of a model", "Where a model runs", ""),
}
PARAMETERS: dict[str, dict[str, str]] = {
    "get_weather": {"city": "string"},
    "get_time": {"city": "string"},
    "calculate": {"expression": "string"},
    "convert_units": {"value": "number", "from": "string", "to": "string"},
    "list_models": {},
    "model_status": {"model": "string"},
}
NAMES = list(PARAMETERS)


def shipped(name: str, description: str | None = None) -> Json:
    """One shipped tool; with its first description unless another is given."""
    chosen = DESCRIPTIONS[name][0] if description is None else description
    return tool(name, chosen, PARAMETERS[name])


def varied(source: Source, name: str) -> Json:
    return shipped(name, source.pick(DESCRIPTIONS[name]))


ALL = [shipped(name) for name in NAMES]
