"""Links between our pages lead somewhere, and every command stands where it is tested."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    page
    for page in sorted(ROOT.glob("**/*.md"))
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
NAMED_TEST = re.compile(r"`((?:tests|e2e)/[\w/]+\.py)::(\w+)`")
SHELLS = {"sh", "bash", "shell", "shell-session"}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for link in _links(page):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.exists() or (
            parts.fragment and target.suffix == ".md" and parts.fragment not in _anchors(target)
        ):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_stand_in_console_blocks(page: Path) -> None:
    """Those are run by e2e/test_docs.py; in a block of another kind nobody would notice."""
    others = [t for t in _tokens(page) if t.type == "fence" and t.info.strip() in SHELLS]

    assert [token.map for token in others] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_tests_that_a_page_names_exist(page: Path) -> None:
    gone = [
        f"{path}::{name}"
        for path, name in NAMED_TEST.findall(page.read_text())
        if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text()
    ]

    assert gone == []


@cache
def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def _links(page: Path) -> list[str]:
    inline = [child for token in _tokens(page) for child in token.children or ()]
    addresses = [c.attrs.get("href") or c.attrs.get("src") for c in inline]
    return [str(address) for address in addresses if address]


@cache
def _anchors(page: Path) -> set[str]:
    """The anchors GitHub gives the headings of a page."""
    anchors: set[str] = set()
    seen: Counter[str] = Counter()
    for before, token in zip(_tokens(page), _tokens(page)[1:], strict=False):
        if before.type != "heading_open":
            continue
        text = "".join(c.content for c in token.children or () if c.type in ("text", "code_inline"))
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors
