"""The Python on our pages runs, block after block as a reader would type it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

pytest_plugins = "pytester"

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "python-api.md"


def blocks(info: str) -> list[tuple[int, str]]:
    """The page's blocks of that kind, with the line that each begins at."""
    tokens = MarkdownIt("commonmark").parse(PAGE.read_text())
    return [
        (token.map[0] + 1, token.content)
        for token in tokens
        if token.type == "fence" and token.map and token.info.strip() == info
    ]


def test_every_block_of_python_is_one_that_runs() -> None:
    tokens = MarkdownIt("commonmark").parse(PAGE.read_text())
    kinds = {t.info.strip() for t in tokens if t.type == "fence"}

    assert kinds == {"python", "python test"}


def test_what_is_typed_in_a_notebook_does_what_the_page_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "notebook"}
    for line, text in blocks("python"):
        exec(compile("\n" * line + text, str(PAGE), "exec"), names)  # noqa: S102


def test_the_tests_that_the_page_shows_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("\n".join(text for _, text in blocks("python test")))
    for name in ("samples", "scenarios"):
        os.symlink(ROOT / name, pytester.path / name)

    result = pytester.runpytest_inprocess("--strict-markers", "-Werror")

    result.assert_outcomes(passed=3)
