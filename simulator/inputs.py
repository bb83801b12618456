"""YAML files from people, read with positions: a complaint names file, line and column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

Location: TypeAlias = tuple[str | int, ...]


class BadInputError(Exception):
    """Something a person wrote cannot be used; every problem is one line for them to read."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems)  # all of it: SimPy makes exceptions anew from their args
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


@dataclass(frozen=True)
class Document:
    """One YAML document of a file. ``value`` is plain JSON."""

    path: Path
    value: Any
    _marked: Any

    def complain(self, where: Location, message: str) -> str:
        """A problem with the value at ``where``, as a line that names its place in the file."""
        line, column = self._position(where)
        return f"{self.path}:{line}:{column}: {message}"

    def _position(self, where: Location) -> tuple[int, int]:
        """Line and column, from 1, of the deepest part of ``where`` that the file has."""
        node, position = self._marked, self._start()
        for step in where:
            if isinstance(node, CommentedMap) and step in node:
                position = node.lc.key(step)
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
                position = node.lc.item(step)
            else:
                break
            node = node[step]
        return position[0] + 1, position[1] + 1

    def _start(self) -> tuple[int, int]:
        lc = getattr(self._marked, "lc", None)
        return (lc.line, lc.col) if lc is not None and lc.line is not None else (0, 0)


def load_documents(path: Path) -> list[Document]:
    """The non-empty documents of a YAML file.

    Raises:
        BadInputError: The file cannot be read, or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise BadInputError([f"{path}: is not UTF-8 text"]) from None
    try:
        marked = list(YAML(typ="rt").load_all(StringIO(text)))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise BadInputError([f"{path}{place}: is not YAML: {error.problem}"]) from None
    except YAMLError as error:
        raise BadInputError([f"{path}: is not YAML: {str(error).splitlines()[0]}"]) from None
    return [Document(path, _plain(value), value) for value in marked if value is not None]


def location_of(path: str) -> Location:
    """``spec.patterns[0].name`` as steps."""
    return tuple(
        int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    # The round-trip loader has its own kinds of str, int and float.
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value if value is None else str(value)
