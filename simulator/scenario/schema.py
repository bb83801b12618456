"""The JSON Schema of scenario files, for editors: made from the models that read them.

It is of draft 7, which every editor knows. What needs the rest of the file (whether a zone exists)
or a computation (whether a range is in order) only ``prism-sim validate`` can tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from prism_operator.documents import Location
from simulator.kernel import SECOND_US
from simulator.randomness import Even
from simulator.scenario.model import Scenario
from simulator.scenario.values import NAME

MODELINE = "# yaml-language-server: $schema=schema.json\n"


def scenario_schema() -> dict[str, Any]:
    """The schema, with the definitions of everything that is used more than once."""
    schema = Scenario.model_json_schema(
        by_alias=True, ref_template="#/definitions/{model}", schema_generator=_ForEditors
    )
    definitions: dict[str, Any] = {}
    for name, definition in schema.pop("$defs").items():
        definitions[name] = _with_references(definition, definitions)
    top = _with_references(schema, definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A scenario of prism-sim",
        **top,
        "definitions": dict(sorted(definitions.items())),
    }


def render_schema() -> str:
    """The schema as a file."""
    return json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n"


def keys_at(location: Location) -> list[str]:
    """The keys that are known at a place of a scenario."""
    schema = _schema()
    places = [schema]
    for step in location:
        places = [below for place in places for below in _below(schema, place, step)]
    found = [option for place in places for option in _options(schema, place)]
    return [key for option in found for key in option.get("properties", ())]


@cache
def _schema() -> dict[str, Any]:
    return scenario_schema()


def _options(schema: dict[str, Any], place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What may stand at a place."""
    if "$ref" in place:
        yield from _options(schema, schema["definitions"][place["$ref"].rpartition("/")[2]])
    elif "properties" not in place and "anyOf" in place:
        for option in place["anyOf"]:
            yield from _options(schema, option)
    else:
        yield place


def _below(
    schema: dict[str, Any], place: dict[str, Any], step: str | int
) -> Iterator[dict[str, Any]]:
    for option in _options(schema, place):
        key = "items" if isinstance(step, int) else "additionalProperties"
        below = option.get("properties", {}).get(step, option.get(key))
        if isinstance(below, dict):
            yield below


class _ForEditors(GenerateJsonSchema):
    """A key without a value counts as a mistake."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def tuple_schema(self, schema: core_schema.TupleSchema) -> JsonSchemaValue:
        made = super().tuple_schema(schema)
        if "prefixItems" in made:
            made["items"] = made.pop("prefixItems")
        return made

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", ...) in (None, (), [], {}):
            made.pop("default")
        return made

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case Even():
                return _duration(dft.least_us)
            case BaseModel():
                return dft.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return super().encode_default(dft)


def _with_references(value: Any, definitions: dict[str, Any]) -> Any:
    """Puts what has a name among the definitions, and refers to it."""
    if isinstance(value, list):
        return [_with_references(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: _with_references(below, definitions) for key, below in value.items()}
    if isinstance(inner.get("title"), str):
        del inner["title"]  # pydantic's own say nothing that the name does not
    name = inner.pop(NAME, None)
    if name is None:
        return inner
    default = {"default": inner.pop("default")} if "default" in inner else {}
    if isinstance(us := default.get("default"), int) and name in _TIMES:
        default = {"default": _TIMES[name](us)}
    definitions[name] = inner
    return {"$ref": f"#/definitions/{name}", **default}


def _duration(us: int) -> str:
    """A duration as people write it."""
    seconds, rest = divmod(us, SECOND_US)
    if rest:
        return f"{us / 1000:g}ms"
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _time_of_day(us: int) -> str:
    return f"{us // (3600 * SECOND_US):02}:{us // (60 * SECOND_US) % 60:02}"


_TIMES = {"Duration": _duration, "TimeOfDay": _time_of_day}
