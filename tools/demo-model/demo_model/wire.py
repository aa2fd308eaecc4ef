"""How results and calls really arrive: other spacing, other keys, keys that nobody asked for."""

from __future__ import annotations

import json
from typing import Any

from .dialogue import Json, Sample, dumps
from .source import Source

KEYS: dict[str, tuple[str, ...]] = {
    "temperature": ("temp", "temp_c", "temperature_c", "degrees", "celsius"),
    "sky": ("condition", "conditions", "weather", "description", "summary"),
    "time": ("local_time", "now", "clock"),
    "neuron": ("node", "host", "machine"),
    "status": ("state",),
    "models": ("loaded", "data", "names"),
}


def compact(value: Any) -> str:
    """JSON as JavaScript writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _other_keys(source: Source, value: Json) -> Json:
    renamed = {source.pick(KEYS[k]) if k in KEYS and source.chance(0.6) else k: v for k, v in value.items()}
    if "temperature" in value and source.chance(0.4):
        renamed[source.pick(("humidity", "wind", "wind_speed"))] = source.rng.randint(0, 99)
    return renamed


def vary(source: Source, sample: Sample) -> Sample:
    """The same conversation as another client might send it."""
    squeeze = source.chance(0.5)
    for i, message in enumerate(sample.messages):
        if message["role"] == "tool":
            content = message.get("content", "")
            if content[:1] not in "{[":
                continue
            value = json.loads(content)
            if isinstance(value, dict) and source.chance(0.35):
                value = _other_keys(source, value)
            message["content"] = compact(value) if squeeze else dumps(value)
        elif message.get("calls") and squeeze and i + 2 < len(sample.messages) and source.chance(0.3):
            # A call from the past, sent back by a client; the model need not learn to write it so.
            message["compact"] = True
    return sample
