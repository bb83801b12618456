"""Renders docs/reference/scenarios.md: every key of a scenario file, from the schema of editors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from simulator.scenario.schema import scenario_schema

Schema: TypeAlias = dict[str, Any]

_HEAD = """\
<!-- Generated from simulator/scenario by `make manifests`. -->
# Scenario files

Every key that a scenario may have, what it takes, and what holds without it. What they bring about
is told in [scenarios](../../scenarios/README.md). Other keys are errors.

Editors with the YAML language server complete and check a scenario whose first line names
[schema.json](../../scenarios/schema.json), which `prism-sim schema` prints:

```yaml
# yaml-language-server: $schema=schema.json
```

A schema sees neither manifests nor what refers to another part of the file. `prism-sim validate
FILE|DIR…` checks all that can be told without a run, and names line and column.
"""


def render_reference() -> str:
    """The page, in Markdown."""
    schema = scenario_schema()
    definitions: dict[str, Schema] = schema["definitions"]
    names = _reachable(schema, definitions)
    parts = [name for name in names if "properties" in definitions[name]]
    values = [name for name in names if "properties" not in definitions[name]]
    return "\n".join(
        [
            _HEAD,
            _section("The file", schema),
            *(_section(name, definitions[name]) for name in parts),
            "## Values\n",
            *(f"### {name}\n\n{_value(definitions[name])}\n" for name in sorted(values)),
        ]
    )


def _section(title: str, schema: Schema) -> str:
    required = schema.get("required", ())
    rows = "".join(
        f"| `{key}` | {_type(field)} | {_default(field, required=key in required)} |\n"
        for key, field in schema["properties"].items()
    )
    table = f"| Key | Takes | Without it |\n|---|---|---|\n{rows}"
    rules = "".join(f"\n{rule}\n" for rule in _rules(schema))
    return f"## {title}\n\n{_plain(schema.get('description', ''))}\n\n{table}{rules}"


def _plain(text: str) -> str:
    return text.replace("``", "`")


def _rules(schema: Schema) -> Iterator[str]:
    one = [_needed(option) for option in schema.get("oneOf", ())]
    if one:
        yield f"Exactly one of {', '.join(one)}."
    some = [_needed(option) for option in schema.get("anyOf", ())]
    if some:
        yield f"At least one of {', '.join(some)}."


def _needed(option: Schema) -> str:
    if "required" not in option:
        return " or ".join(_needed(inner) for inner in option["anyOf"])
    keys = " with ".join(f"`{key}`" for key in option["required"])
    return f"{keys} alone" if len(option.get("not", {}).get("anyOf", ())) > 2 else keys


def _type(field: Schema) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(option) for option in field["anyOf"]))
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    match field.get("type"):
        case "array" if isinstance(field["items"], list):
            return f"[{', '.join(_type(item) for item in field['items'])}]"
        case "array":
            return f"list of {_type(field['items'])}"
        case "object" if isinstance(field.get("additionalProperties"), dict):
            return f"name: {_type(field['additionalProperties'])}"
        case "object":
            return "any mapping"
        case "integer" | "number" as kind:
            return f"{kind}{_bounds(field)}"
        case "string":
            return f"text like `{field['pattern']}`" if "pattern" in field else "text"
        case "boolean":
            return "`true` or `false`"
        case _:
            return "anything"


def _bounds(field: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
    told = [f"{sign} {field[name]:g}" for name, sign in signs.items() if name in field]
    return f" {', '.join(told)}" if told else ""


def _default(field: Schema, *, required: bool) -> str:
    if required:
        return "required"
    default = field.get("default", "")
    if default == "":
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _value(schema: Schema) -> str:
    """What one of the values is that has no keys of its own."""
    if "enum" in schema:
        return f"{schema.get('description', '')} One of {_type(schema)}.".strip()
    return str(schema["description"])


def _reachable(top: Schema, definitions: dict[str, Schema]) -> list[str]:
    """The definitions in the order in which a reader meets them."""
    found: list[str] = []

    def visit(schema: Schema) -> None:
        for name in re.findall(r'"#/definitions/(\w+)"', json.dumps(schema)):
            if name not in found:
                found.append(name)
                visit(definitions[name])

    visit(top)
    return found
