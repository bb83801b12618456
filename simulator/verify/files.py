"""Vector files: gzipped JSON lines, one case a line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from prism_operator.api.meta import Json
from simulator.inputs import BadInputError


def read_cases(path: Path) -> Iterator[tuple[int, Json]]:
    """The cases of a file with their line numbers, read as they are asked for.

    Raises:
        BadInputError: The file cannot be read, is not gzip or is cut, or a line is no JSON object.
    """
    number = 0
    try:
        with gzip.open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield number, _case(path, number, line)
    except gzip.BadGzipFile:
        raise BadInputError([f"{path}:{number + 1}: is not a gzip file"]) from None
    except (EOFError, zlib.error):
        raise BadInputError(
            [f"{path}:{number + 1}: the file is cut or damaged here; copy or record it again"]
        ) from None
    except OSError as error:
        raise BadInputError([f"{path}: cannot be read: {error.strerror}"]) from None
    if number == 0:
        raise BadInputError([f"{path}:1: expected one case a line; the file is empty"])


def _case(path: Path, number: int, line: bytes) -> Json:
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as error:  # also of bytes that are no UTF-8
        raise BadInputError([f"{path}:{number}: is not JSON: {error}"]) from None
    if not isinstance(case, dict):
        raise BadInputError(
            [f"{path}:{number}: expected a JSON object, found {type(case).__name__}"]
        )
    return case
