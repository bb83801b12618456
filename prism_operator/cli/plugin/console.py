"""What is printed for people: colours on a terminal, plain text in a pipe or with NO_COLOR."""

from __future__ import annotations

from typing import Final

from rich.console import Console

# Nothing in the text is markup: it comes from files and from the cluster.
OUT: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
ERR: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)
