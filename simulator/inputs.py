"""YAML files from people: what is wrong with them, all of it, in lines that name the place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
