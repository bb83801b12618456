"""The files that ``-f`` names: read as kubectl reads them, without a network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from prism_operator.cli.errors import UsageError

STDIN: Final = "-"
_ENDINGS: Final = (".json", ".yaml", ".yml")

FilesFlag: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--filename",
        "-f",
        metavar="FILE|DIR|-",
        help="File, directory or - for standard input; may be repeated.",
    ),
]
RecursiveFlag: TypeAlias = Annotated[
    bool, typer.Option("--recursive", "-R", help="Read directories with all that is below them.")
]


def read_files(names: Sequence[str], *, recursive: bool) -> list[tuple[str, bytes]]:
    """Names and contents, each file once. Raises UsageError for what cannot be read."""
    contents: dict[str, bytes] = {}
    for name in names:
        if name == STDIN:
            contents["<stdin>"] = sys.stdin.buffer.read()
            continue
        path = Path(name)
        try:
            for file in _files_in(path, recursive=recursive) if path.is_dir() else [path]:
                contents[str(file)] = file.read_bytes()
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"-f {name}: cannot be read: {told}") from error
    return list(contents.items())


def _files_in(directory: Path, *, recursive: bool) -> list[Path]:
    found = directory.rglob("*") if recursive else directory.iterdir()
    files = sorted(f for f in found if f.suffix in _ENDINGS and f.is_file())
    if not files:
        hint = "" if recursive else "; -R looks further below"
        raise UsageError(f"-f {directory}: has no file ending in {', '.join(_ENDINGS)}{hint}")
    return files
