"""YAML files from people: what is wrong with them, all of it, in lines that name the place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from prism_operator.api.meta import Json
from prism_operator.documents import Document, read_documents


class BadInputError(Exception):
    """Something a person wrote cannot be used; every problem is one line for them to read."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems)  # all of it: SimPy makes exceptions anew from their args
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


def load_documents(path: Path) -> list[Document]:
    """The non-empty documents of a YAML file.

    Raises:
        BadInputError: The file cannot be read, or is no YAML.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError([f"{path}: cannot be read: {error.strerror}"]) from None
    documents, complaints = read_documents(content, str(path))
    if complaints:
        raise BadInputError([str(complaint) for complaint in complaints])
    return documents


def load_objects(path: Path) -> list[Json]:
    """The objects that ``kubectl get`` printed: YAML, or JSON, which is read much faster.

    Those in Lists are taken out of them.

    Raises:
        BadInputError: The file cannot be read, or is neither.
    """
    try:
        values: list[Any] = [orjson.loads(path.read_bytes())]
    except OSError as error:
        raise BadInputError([f"{path}: cannot be read: {error.strerror}"]) from None
    except orjson.JSONDecodeError:
        values = [document.value for document in load_documents(path)]
    return [obj for value in values for obj in _objects_in(value)]


def _objects_in(value: Any) -> Iterator[Json]:
    if not isinstance(value, dict):
        return
    items = value.get("items")
    if not isinstance(items, list):
        yield value
        return
    kind = str(value.get("kind") or "").removesuffix("List")
    for item in items:
        for obj in _objects_in(item):
            # A list that the API answers names the kind once, for all of its items.
            yield {"apiVersion": value.get("apiVersion"), "kind": kind, **obj} if kind else obj
