"""The runner of our pages reads what a reader reads, and is not fooled by what varies."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.pages import Block, PageError, Shell, blocks_of, difference


def page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(text)
    return path


def run(tmp_path: Path, block: Block) -> str | None:
    with Shell(tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path) as shell:
        failure = shell.run(block)
    return failure.why if failure else None


def test_commands_are_told_from_their_output(tmp_path: Path) -> None:
    text = """\
Some words, and:

```console
$ kubectl get pods \\
    -A
NAME   READY

one    1/1
$ kubectl apply -f - <<EOF
a: 1
EOF
applied
```
"""
    (block,) = blocks_of(page(tmp_path, text))

    first, second = block.commands
    assert first.text == "kubectl get pods \\\n    -A"
    assert first.expected == ("NAME   READY", "one    1/1")
    assert second.text == "kubectl apply -f - <<EOF\na: 1\nEOF"
    assert second.expected == ("applied",)
    assert second.line == 9


def test_markers_belong_to_the_block_that_follows(tmp_path: Path) -> None:
    text = """\
<!-- not run: needs
Docker -->
```console
$ docker build .
```

```console
$ true
```

<!-- console, in the background until: ready
$ sleep 5
-->

1. In a list:

   <!-- exit code: 2 -->
   ```console
   $ false
   ```
"""
    docker, plain, hidden, listed = blocks_of(page(tmp_path, text))

    assert docker.not_run == "needs Docker"
    assert (plain.not_run, plain.exit_code) == (None, 0)
    assert (hidden.until, hidden.commands[0].text) == ("ready", "sleep 5")
    assert (listed.exit_code, listed.commands[0].text) == (2, "false")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<!-- skipped -->\n```console\n$ true\n```\n", r"page.md:2: unknown marker <!-- skipped"),
        ("```console\nkubectl get pods\n```\n", r"page.md:1: a console block without a line"),
    ],
)
def test_page_that_would_not_be_tested_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(PageError, match=says):
        blocks_of(page(tmp_path, text))


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        (["NAME  AGE", "a     3s"], "NAME   AGE\na      2m5s\n"),
        (["started after 4.8 s: https://127.0.0.1:1"], "started after 12.0 s: https://127.0.0.1:2"),
        (["pod/a-5d4f8c7b9d-x2x4v Running"], "pod/a-6b8c9d7f54-abcde   Running"),
        (["first", "…", "last"], "first\nsecond\nthird\nlast"),
        (["says … here"], "says whatever here"),
        ([], "anything"),
    ],
)
def test_what_varies_from_run_to_run_does_not_count(expected: list[str], printed: str) -> None:
    assert difference(tuple(expected), printed) is None


@pytest.mark.parametrize(
    ("expected", "printed", "said"),
    [
        (["READY True"], "READY False", "READY True"),
        (["first", "last"], "first\nsecond\nlast", "last"),
        (["first"], "first\nsecond", "nothing more, but it printed: second"),
        (["first", "…", "last"], "first", "last"),
    ],
)
def test_what_the_page_shows_wrongly_is_said(expected: list[str], printed: str, said: str) -> None:
    assert difference(tuple(expected), printed) == said


def test_shell_keeps_variables_and_checks_exit_codes(tmp_path: Path) -> None:
    text = "```console\n$ export WORD=kept\n$ echo $WORD\nkept\n$ (exit 3)\n```\n"
    (block,) = blocks_of(page(tmp_path, text))

    assert run(tmp_path, block) == "exit code 3, expected 0"


def test_background_command_is_waited_for_and_endless_one_is_ended(tmp_path: Path) -> None:
    text = """\
<!-- in the background until: ready -->
```console
$ echo ready; sleep 60
```

<!-- ended after: 1 s -->
```console
$ echo watching; sleep 60
watching
```

<!-- in the background until: ready -->
```console
$ echo broken
```
"""
    background, endless, broken = blocks_of(page(tmp_path, text))

    assert run(tmp_path, background) is None
    assert run(tmp_path, endless) is None
    assert run(tmp_path, broken) == "it did not print: ready"
