import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pyte
import pytest
from rich.console import Console
from typer.testing import CliRunner

from simulator.cli import SCENARIOS, app
from simulator.run import Result, Simulation
from simulator.scenario import load
from simulator.series import Series
from simulator.watching import FRAMES_PER_S, PLAYS_S, Happenings, Player, sparkline

COLUMNS, LINES = 100, 40
NODE_LOSS = SCENARIOS / "node-loss.yaml"  # 30 minutes
TINY = """\
question: Does nothing happen?
duration: 1m
cluster: {pools: {base: {count: 2}}}
expect:
  - {atEnd: {count: {of: Node, equals: 2}}}
  - {never: {count: {of: Node, atMost: 2}}}
"""


class FakeClock:
    """Time goes on only while somebody waits."""

    def __init__(self) -> None:
        self.s = 0.0

    def wait(self, seconds: float) -> None:
        self.s += seconds


def played(
    path: Path, *, terminal: bool, speed: float | None = None, lines: int = LINES
) -> tuple[Result, str, float]:
    """The result, all that was written, and how long it took."""
    clock, out = FakeClock(), io.StringIO()
    console = Console(
        file=out, force_terminal=terminal, width=COLUMNS, height=lines, color_system=None
    )
    loaded, happenings = load(path), Happenings()
    simulation = Simulation(loaded, log=happenings)
    player = Player(loaded, simulation, happenings, console, lambda: clock.s, clock.wait, speed)
    return player.play(), out.getvalue(), clock.s


def on_screen(written: str, lines: int = LINES) -> list[str]:
    """What is to be seen on a terminal after this was written to it."""
    screen = pyte.Screen(COLUMNS, lines)
    stream = pyte.Stream(screen)
    stream.feed(written.replace("\r\n", "\n").replace("\n", "\r\n"))
    return [line.rstrip() for line in screen.display]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def test_a_terminal_shows_how_far_it_is_what_is_there_and_what_was_expected() -> None:
    result, written, _ = played(NODE_LOSS, terminal=True, speed=900)

    screen = "\n".join(on_screen(written))
    assert "node-loss, seed" in screen
    assert load(NODE_LOSS).scenario.question in screen.replace("\n", " ")
    assert "30m of 30m" in screen
    assert "nodes  6/6 ready" in screen
    assert "PrismStack/shop      Ready" in screen
    assert screen.count("✓") == result.met == result.expected
    assert "evicted Pod default/" in screen


def test_watching_changes_nothing() -> None:
    plain = Simulation(load(NODE_LOSS)).run().log_hash

    assert played(NODE_LOSS, terminal=True, speed=900)[0].log_hash == plain
    assert played(NODE_LOSS, terminal=False, speed=900)[0].log_hash == plain


@pytest.mark.parametrize(
    ("terminal", "speed", "expected_s"),
    [(True, None, PLAYS_S), (True, 30, 2), (False, 20, 3), (False, None, 0)],
)
def test_a_run_plays_at_the_speed_that_was_asked_for(
    tiny: Path, terminal: bool, speed: float | None, expected_s: float
) -> None:
    assert played(tiny, terminal=terminal, speed=speed)[2] == pytest.approx(expected_s)


def test_frames_come_no_faster_than_one_can_look(tiny: Path) -> None:
    _, written, took_s = played(tiny, terminal=True, speed=30)

    assert took_s == 2
    frames = written.count("Does nothing happen?")
    assert frames <= took_s * FRAMES_PER_S + 4  # the first, the last, and what Live adds
    assert frames >= took_s * FRAMES_PER_S * 0.8


def test_a_picture_fits_the_terminal() -> None:
    _, written, _ = played(NODE_LOSS, terminal=True, speed=900, lines=22)

    screen = on_screen(written, lines=22)
    assert any("node-loss, seed" in line for line in screen)
    assert any("evicted" in line for line in screen)


def test_without_a_terminal_there_are_lines_and_nothing_to_control_one() -> None:
    _, written, _ = played(NODE_LOSS, terminal=False)

    assert "\x1b" not in written
    lines = [line.strip() for line in written.splitlines()]
    assert any(line.startswith("5m  event loss") for line in lines)
    assert lines.index("5m  event loss") < lines.index("5m  lost Node base-a-0")
    looks = [line for line in lines if "nodes " in line]
    assert len(looks) == 20
    assert looks[-1].startswith("30m  pods ")


def test_what_is_not_met_is_marked_with_what_was_the_case(tiny: Path) -> None:
    _, written, _ = played(tiny, terminal=True, speed=30)

    screen = on_screen(written)
    assert [line.strip()[0] for line in screen if "count: " in line] == ["✓", "✗"]
    assert any("at 0.000 s: it was so" in line for line in screen)


def test_a_sparkline_shows_peaks_however_short() -> None:
    series = Series()
    for at_us, value in ((0, 10.0), (50, 80.0), (51, 0.0)):
        series.set(at_us, value)

    assert sparkline(series, 100, width=10) == "▂▂▂▂▂█▁▁▁▁"
    assert sparkline(Series(), 100, width=3) == "▁▁▁"
    assert sparkline(series, 0, width=2) == "██"


def test_the_command_plays_in_a_real_terminal_and_ends_with_the_row(tiny: Path) -> None:
    code, written = in_terminal("run", str(tiny), "--watch", "--speed", "120")

    assert code == 1  # the second expectation fails by design
    screen = on_screen(written)
    assert any("1m of 1m" in line for line in screen)
    assert any(line.startswith("tiny ") and " 1/2 " in line for line in screen)
    assert screen[[line.startswith("scenario ") for line in screen].index(True) - 1] != ""


def test_the_command_prints_lines_into_a_pipe_and_keeps_the_log(tiny: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    result = CliRunner().invoke(app, ["run", str(tiny), "--watch", "--event-log", str(log)])

    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
    assert result.stdout.splitlines()[0] == "tiny: Does nothing happen?"
    assert result.stdout.splitlines()[-1] == "0 passed, 1 failed"
    plain = tmp_path / "plain.jsonl"
    CliRunner().invoke(app, ["run", str(tiny), "--event-log", str(plain)])
    assert log.read_bytes() == plain.read_bytes()


def test_a_speed_is_for_watching(tiny: Path) -> None:
    result = CliRunner().invoke(app, ["run", str(tiny), "--speed", "2"])

    assert result.exit_code == 2
    assert "--speed: is for --watch" in result.stderr


def test_a_bar_on_the_terminal_leaves_what_goes_to_a_file_alone(tiny: Path) -> None:
    read, write = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - our own program
        command("run", str(tiny), str(SCENARIOS / "quickstart.yaml")),
        stdout=subprocess.PIPE,
        stderr=write,
        text=True,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(write)
        shown = drained(read)
        assert process.stdout is not None
        rows = process.stdout.read().splitlines()

    assert "scenarios" in shown
    assert "/2" in shown
    assert [row.split()[0] for row in rows] == [
        "scenario", "tiny", "expected", "quickstart", "1",
    ]  # fmt: skip


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "simulator.cli", *arguments]


def in_terminal(*arguments: str) -> tuple[int, str]:
    read, write = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    with subprocess.Popen(  # noqa: S603 - our own program
        command(*arguments), stdin=write, stdout=write, stderr=write, env=environment
    ) as process:
        os.close(write)
        written = drained(read)
    return process.returncode, written


def drained(descriptor: int) -> str:
    """All that is written to a terminal until its last writer is gone."""
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:  # that is how Linux says it
        pass
    finally:
        os.close(descriptor)
    return b"".join(parts).decode()
