"""What is printed for people: colours on a terminal, plain text in a pipe or with NO_COLOR."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import yaml
from rich.console import Console

from prism_operator.cli.plugin.flags import Output

# Nothing in the text is markup: it comes from files and from the cluster.
OUT: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
ERR: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)


_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text with control characters escaped: none may rewrite the reader's terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def print_document(value: Any, output: Output) -> None:
    """Prints plain data for programs, as JSON or YAML."""
    if output is Output.YAML:
        OUT.print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
    else:
        OUT.print(json.dumps(value, indent=2, ensure_ascii=False))
