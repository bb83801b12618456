"""No command of MEMO-036 is left out: each works on one of our pages, or has its correction."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from e2e.pages import blocks_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "memo-036.md"
COMMANDS = Path(__file__).with_name("memo-036-commands.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def told() -> set[str]:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    commands = [c.text for page in pages for block in blocks_of(page) for c in block.commands]
    typed = {re.sub(r"\s*\\\n\s*", " ", text) for text in commands}
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    first_cells = [re.split(r"(?<!\\)\|", row)[1].replace("\\|", "|") for row in rows]
    return typed | {command for cell in first_cells for command in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_memo_works_or_is_corrected(command: str, told: set[str]) -> None:
    assert command in told
