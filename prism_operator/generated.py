"""Files in the repository that are made from the code: written anew, or compared with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

# In the first line of each of them, whatever its comments look like.
_MARK = "Generated "


def main(prog: str, arguments: Sequence[str], render: Callable[[Path], dict[Path, str]]) -> int:
    """Writes the files, or (``--check``) says what differs; the answer is the exit code.

    ``render`` tells all that belongs below the project's folder. A YAML file beside one of them
    that says to be generated and is not among them is left over.
    """
    parser = argparse.ArgumentParser(prog=prog)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="bring the files up to date")
    what.add_argument("--check", action="store_true", help="exit 1 and name the files that differ")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    options = parser.parse_args(arguments)
    files = render(options.root)
    stale = {
        path: text for path, text in files.items() if not path.exists() or path.read_text() != text
    }
    left_over = {
        path
        for folder in {path.parent for path in files}
        for path in folder.glob("*.yaml")
        if path not in files and _MARK in path.read_text().partition("\n")[0]
    }
    if options.check:
        for path in sorted({*stale, *left_over}):
            print(f"{path} is out of date: run `make manifests`", file=sys.stderr)
        return 1 if stale or left_over else 0
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path}")
    for path in sorted(left_over):
        path.unlink()
        print(f"removed {path}")
    return 0


def dump_yaml(obj: Any) -> str:
    """``obj`` as YAML, keys sorted, in full where one value stands in several places."""
    return yaml.dump(obj, Dumper=_ForPeople, sort_keys=True, width=100, allow_unicode=True)


class _ForPeople(yaml.SafeDumper):
    """Repeats what occurs twice, and keeps the lines of texts."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True

    def represent_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None)


_ForPeople.add_representer(str, _ForPeople.represent_text)
