"""The console blocks of our pages: what a reader types, and what the page says comes back.

Such a block is fenced, its language ``console``. A line that begins with ``$`` is a command, what
follows is its output; a here-document and lines after a backslash belong to the command. An HTML
comment before a block says what is special about it:

    <!-- not run: needs Docker -->                   it is only read; the reason is counted
    <!-- in the background until: Leading -->        goes on running; the text is waited for
    <!-- ended after: 3 s -->                        would go on for ever, as ``get -w`` does
    <!-- exit code: 2 -->                            of the last command

A comment whose first line is ``console`` is a block that readers do not see: what the page takes
for granted. It may begin with one of the markers: ``<!-- console, in the background until: …``.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from markdown_it import MarkdownIt

from e2e.build import HELM, build

_MARKERS = re.compile(
    r"not run: (?P<not_run>.+)|in the background until: (?P<until>.+)"
    r"|ended after: (?P<ended_after_s>\d+) s|exit code: (?P<exit_code>\d+)"
)
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_TIMEOUT_S = 300.0
_GRACE_S = 5.0
_PAUSE_S = 0.05
_ENDED_BY_TIMEOUT = 124  # timeout(1)

# What differs from one run to the next, and what stands for it when outputs are compared.
_VARYING = (
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\b(?:127|10)\.\d+\.\d+\.\d+(?::\d+)?"), "<address>"),
    (re.compile(r"(?<=-)[0-9a-f]{6,10}-[a-z0-9]{5}\b"), "<pod>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<hash>"),
    (re.compile(r"\b\d+\.\d+ ?s\b"), "<seconds>"),
    (re.compile(r"\b(?:\d+[dhms]){1,2}\b"), "<age>"),
    (re.compile(r"\bhttps?://<address>"), "<server>"),
)


class PageError(Exception):
    """A page cannot be read; the message has its name and line."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed, and the lines the page shows after it."""

    line: int
    text: str
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Commands that stand together, and what their marker says."""

    line: int
    commands: tuple[Command, ...]
    not_run: str | None = None
    until: str | None = None
    ended_after_s: int | None = None
    exit_code: int = 0


def blocks_of(page: Path) -> list[Block]:
    """The console blocks of a page, in order.

    Raises:
        PageError: for a marker that is not one of ours, or a block without a command.
    """
    found: list[Block] = []
    comment = ""
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type not in ("html_block", "fence") or token.map is None:
            if token.type.endswith("_open") and token.type != "list_item_open":
                comment = ""
            continue
        line = token.map[0] + 1
        if token.type == "html_block":
            match = _COMMENT.match(token.content.strip())
            comment = match[1] if match else ""
            if comment.startswith("console"):
                first, _, body = comment.partition("\n")
                marker = first.removeprefix("console").removeprefix(",").strip()
                found.append(_block(page, line, body, marker))
                comment = ""
        else:
            if token.info.split()[:1] == ["console"]:
                found.append(_block(page, line, token.content, comment))
            comment = ""
    return found


def _block(page: Path, line: int, text: str, marker: str) -> Block:
    fields: dict[str, str] = {}
    if marker:
        # A reason may be longer than a line.
        match = _MARKERS.fullmatch(" ".join(marker.split()))
        if not match:
            raise PageError(f"{page}:{line}: unknown marker <!-- {marker} -->; see e2e/pages.py")
        fields = {name: value for name, value in match.groupdict().items() if value is not None}
    commands = tuple(_commands(text.splitlines(), line + 1))
    if not commands:
        raise PageError(f"{page}:{line}: a console block without a line that begins with $")
    return Block(
        line,
        commands,
        not_run=fields.get("not_run"),
        until=fields.get("until"),
        ended_after_s=int(fields["ended_after_s"]) if "ended_after_s" in fields else None,
        exit_code=int(fields.get("exit_code", 0)),
    )


def _commands(lines: list[str], first_line: int) -> Iterator[Command]:
    index = 0
    while index < len(lines):
        start = index
        if not lines[index].startswith("$ "):
            index += 1
            continue
        typed = [lines[index].removeprefix("$ ")]
        while typed[-1].endswith("\\") and index + 1 < len(lines):
            index += 1
            typed.append(lines[index])
        if here := _HERE_DOCUMENT.search("\n".join(typed)):
            while typed[-1] != here[1] and index + 1 < len(lines):
                index += 1
                typed.append(lines[index])
        index += 1
        shown = index
        while index < len(lines) and not lines[index].startswith("$ "):
            index += 1
        expected = tuple(line for line in lines[shown:index] if line.strip())
        yield Command(first_line + start, "\n".join(typed), expected)


def difference(expected: tuple[str, ...], printed: str) -> str | None:
    """What the page shows and the command did not print; None when they agree.

    A line ``…`` stands for any number of lines, ``…`` inside a line for any text; ages, addresses,
    hashes and the width of columns do not count.
    """
    if not expected:
        return None
    lines = [_normal(line) for line in printed.splitlines() if line.strip()]
    position, may_skip = 0, False
    for shown in expected:
        if shown.strip() == "…":
            may_skip = True
            continue
        pattern = re.compile(".*".join(map(re.escape, _normal(shown).split("…"))))
        candidates = range(position, len(lines) if may_skip else min(position + 1, len(lines)))
        at = next((i for i in candidates if pattern.fullmatch(lines[i])), None)
        if at is None:
            return shown
        position, may_skip = at + 1, False
    if position < len(lines) and not may_skip:
        return f"nothing more, but it printed: {lines[position]}"
    return None


def _normal(line: str) -> str:
    for pattern, name in _VARYING:
        line = pattern.sub(name, line)
    return " ".join(line.split())


@dataclass(frozen=True, slots=True)
class Failure:
    """A command that did not do what its page says."""

    command: Command
    why: str
    printed: str


@dataclass
class Shell:
    """One bash that keeps its variables and directory from command to command."""

    directory: Path
    environment: Mapping[str, str]
    scratch: Path
    _bash: subprocess.Popen[str] = field(init=False)
    _count: int = 0

    def __enter__(self) -> Shell:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # so that all it starts can be ended at once
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._bash.stdin is not None
        group = self._bash.pid
        os.killpg(group, signal.SIGTERM)  # operators release their Leases
        self._bash.stdin.close()
        self._bash.wait()
        deadline_s = time.monotonic() + _GRACE_S
        while _is_there(group) and time.monotonic() < deadline_s:
            time.sleep(_PAUSE_S)
        if _is_there(group):
            os.killpg(group, signal.SIGKILL)

    def run(self, block: Block) -> Failure | None:
        """Runs the commands one after the other; the first that fails."""
        for command in block.commands:
            last = command is block.commands[-1]
            if block.until and last:
                failure = self._start(command, block.until)
            else:
                exit_code = block.exit_code if last else 0
                failure = self._finish(command, exit_code, block.ended_after_s if last else None)
            if failure:
                return failure
        return None

    def _finish(
        self, command: Command, exit_code: int, ended_after_s: int | None
    ) -> Failure | None:
        out, code = self._type(command.text, ended_after_s)
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not (code.exists() and code.read_text().endswith("\n")):
            if time.monotonic() > deadline_s:
                return Failure(command, f"no end in {_TIMEOUT_S:g} s", out.read_text())
            if self._bash.poll() is not None:
                return Failure(command, "it ended the shell", out.read_text())
            time.sleep(_PAUSE_S)
        printed, ended = out.read_text(errors="replace"), int(code.read_text())
        if ended_after_s is not None and ended == _ENDED_BY_TIMEOUT:
            ended = exit_code
        if ended != exit_code:
            return Failure(command, f"exit code {ended}, expected {exit_code}", printed)
        if missing := difference(command.expected, printed):
            return Failure(command, f"the page shows: {missing}", printed)
        return None

    def _start(self, command: Command, until: str) -> Failure | None:
        out, code = self._type(command.text, None, background=True)
        deadline_s = time.monotonic() + _TIMEOUT_S
        while until not in (printed := out.read_text() if out.exists() else ""):
            if code.exists() or time.monotonic() > deadline_s:
                return Failure(command, f"it did not print: {until}", printed)
            time.sleep(_PAUSE_S)
        if missing := difference((*command.expected, "…"), printed):
            return Failure(command, f"the page shows: {missing}", printed)
        return None

    def _type(
        self, text: str, ended_after_s: int | None, *, background: bool = False
    ) -> tuple[Path, Path]:
        """Types a command; where its output is, and where its exit code will be."""
        self._count += 1
        script, out, code = (
            self.scratch / f"{self._count}.{suffix}" for suffix in ("sh", "out", "code")
        )
        script.write_text(text + "\n")
        run = f". {script}"
        if ended_after_s is not None:
            run = f"timeout --signal=INT --kill-after=5 {ended_after_s} bash {script}"
        line = f"{{ {run}; }} </dev/null >{out} 2>&1; echo $? >{code}"
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"( {line} ) &\n" if background else f"{line}\n")
        self._bash.stdin.flush()
        return out, code


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# Of a make that runs the tests, which would tell its children that they are no top-level makes.
_NOT_THEIRS = ("KUBECONFIG", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


def shell_environment(cluster_directory: Path) -> dict[str, str]:
    """The environment of somebody who has python3 and make, and maybe uses a local cluster.

    The kubectl is the local cluster's and helm is ours, whatever else is installed.
    """
    kept = {k: v for k, v in os.environ.items() if k not in _NOT_THEIRS}
    path = f"{cluster_directory / 'bin'}:{build(HELM).parent}:{os.environ['PATH']}"
    home = {"HOME": os.environ.get("HOME", "/")}
    return {**kept, **home, "PATH": path, "PRISM_CLUSTER_DIRECTORY": str(cluster_directory)}
