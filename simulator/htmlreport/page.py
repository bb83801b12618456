"""The page around the pictures: one HTML file that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import yaml

from prism_operator.api.meta import SECRET, Json
from simulator.inputs import BadInputError
from simulator.scenario import LoadedScenario

_HERE = Path(__file__).parent
_SCRIPTS = ("base.js", "timeline.js", "clustermap.js", "verdicts.js", "sweeps.js", "main.js")
HIDDEN = "(not shown)"


def render(template: str, *, pictures: Mapping[str, Any], **more: Any) -> str:
    """The page: the template's words with ``more`` in them, and what the scripts draw.

    Raises:
        BadInputError: The package for templates is not installed.
    """
    page: str = (
        templates()
        .get_template(template)
        .render(
            data=_embedded(pictures),
            pictures=pictures,
            charts=_text("vendor/echarts/echarts.min.js"),
            scripts="\n".join(_text(f"scripts/{name}") for name in _SCRIPTS),
            style=_text("page.css"),
            **more,
        )
    )
    return page


def source_of(loaded: LoadedScenario) -> Sequence[Mapping[str, str]]:
    """The scenario as its file has it, and its manifests as they were applied."""
    texts = []
    if loaded.path.is_file():
        texts.append({"name": str(loaded.path), "text": loaded.path.read_text(encoding="utf-8")})
    for name, manifests in loaded.manifests.items():
        objects = [_without_secrets(manifest.obj) for manifest in manifests]
        text = yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True)
        texts.append({"name": name, "text": text})
    return texts


def _without_secrets(obj: Json) -> Json:
    if obj.get("kind") != SECRET.kind:
        return obj
    hidden = {
        part: dict.fromkeys(obj[part], HIDDEN) for part in ("data", "stringData") if obj.get(part)
    }
    return {**obj, **hidden}


def _embedded(pictures: Mapping[str, Any]) -> str:
    """JSON that may stand in a script element: nothing in it ends the element."""
    return orjson.dumps(pictures).decode().replace("<", "\\u003c")


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def templates() -> Any:
    """The templates of pages.

    Raises:
        BadInputError: The package for templates is not installed.
    """
    try:
        jinja2: Any = import_module("jinja2")
    except ImportError:
        message = "--report needs the package jinja2: pip install 'prism-operator[sim,report]'"
        raise BadInputError([message]) from None
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
