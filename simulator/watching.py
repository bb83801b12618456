"""Plays a run in a terminal: numbers, expectations and what happened, at a chosen speed."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from prism_operator.api.meta import NODE, POD, PRISM_PATTERN, PRISM_STACK
from simulator.controllers.objects import condition, is_ready, is_true
from simulator.expectations import Judge, described
from simulator.kernel import SECOND_US, Us
from simulator.run import Result, Simulation
from simulator.scenario import LoadedScenario
from simulator.series import Series
from simulator.spelling import duration
from simulator.trace import Sink

FRAMES_PER_S = 10
FRAME_S_MIN = 0.9 / FRAMES_PER_S  # pictures that are due in turn are all drawn
PLAYS_S = 30.0  # how long a run lasts in a terminal where no speed was asked for
PARTS_MIN = 20  # into which any run is cut, to be looked at
LINES_KEPT = 12
SPARKS = "▁▂▃▄▅▆▇█"
SPARKS_SHOWN = 40
# Of all numbers of a workload the one that says most.
_TELLING = ("lag", "requests", "cores")
_COUNTED = ("created", "changed", "deleted")


class Happenings:
    """A sink for the event log that keeps what is no write to the API server, for people.

    ``beside`` gets every line: the file of ``--event-log``.
    """

    def __init__(self, beside: Sink | None = None) -> None:
        self._beside = beside
        self.latest: deque[str] = deque(maxlen=LINES_KEPT)
        self._untold: list[str] = []

    def write(self, line: str, /) -> None:
        """One line of the log."""
        if self._beside is not None:
            self._beside.write(line)
        entry = json.loads(line)
        if entry["what"] not in _COUNTED:
            at_us = round(float(entry["at"]) * SECOND_US)
            more = [f"{k} {v}" for k, v in entry.items() if k not in ("at", "what", "object")]
            told = " ".join([entry["what"], entry["object"], *more])
            self.latest.append(f"{_clock(at_us):>9}  {told}")
            self._untold.append(self.latest[-1])

    def news(self) -> list[str]:
        """What happened since this was last asked."""
        news, self._untold = self._untold, []
        return news


@dataclass
class Player:
    """Plays one simulation on a console; without a terminal it prints a line now and then.

    ``speed`` is simulated seconds a second; None lasts half a minute in a terminal, and goes as
    fast as it can elsewhere.
    """

    loaded: LoadedScenario
    simulation: Simulation
    happenings: Happenings
    console: Console
    now_s: Callable[[], float]
    wait: Callable[[float], object]
    speed: float | None = None

    def play(self) -> Result:
        """Runs it to its end.

        Raises:
            BadInputError: The API server refused something that the scenario does.
        """
        length_s = self.simulation.scenario.duration / SECOND_US
        lasts_s = PLAYS_S if self.console.is_terminal else 0.0
        if self.speed is not None:
            lasts_s = length_s / self.speed
        parts = max(PARTS_MIN, math.ceil(lasts_s * FRAMES_PER_S))
        if self.console.is_terminal:
            return self._on_terminal(parts, lasts_s)
        return self._in_lines(parts, lasts_s)

    def _on_terminal(self, parts: int, lasts_s: float) -> Result:
        shown_s = self.now_s()
        with Live(self._picture(), console=self.console, auto_refresh=False) as live:

            def show(_: int) -> None:
                nonlocal shown_s
                # What comes faster than anybody can look is not drawn.
                if self.now_s() - shown_s >= FRAME_S_MIN:
                    live.update(self._picture(), refresh=True)
                    shown_s = self.now_s()

            result = self._paced(parts, lasts_s, show)
            live.update(self._picture(), refresh=True)  # with what is judged at the end
        return result

    def _in_lines(self, parts: int, lasts_s: float) -> Result:
        self._line(f"{self.loaded.name}: {self.simulation.scenario.question}")

        def tell(done: int) -> None:
            self._tell_news()
            if done * PARTS_MIN // parts > (done - 1) * PARTS_MIN // parts:
                numbers = "; ".join(f"{name} {value}" for name, value, _ in self._numbers())
                self._line(f"{_clock(self.simulation.kernel.now_us):>9}  {numbers}")

        result = self._paced(parts, lasts_s, tell)
        self._tell_news()
        return result

    def _paced(self, parts: int, lasts_s: float, look: Callable[[int], None]) -> Result:
        """Runs it in parts, each when its time has come; ``look`` gets how many are done."""
        began_s, done = self.now_s(), 0

        def step() -> None:
            nonlocal done
            done += 1
            ahead_s = began_s + lasts_s * done / parts - self.now_s()
            if ahead_s > 0:
                self.wait(ahead_s)
            look(done)

        return self.simulation.run(steps=parts, on_step=step)

    def _tell_news(self) -> None:
        for line in self.happenings.news():
            self._line(line)

    def _line(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    # The picture

    def _picture(self) -> RenderableType:
        simulation, scenario = self.simulation, self.simulation.scenario
        now_us = simulation.kernel.now_us
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column()
        head.add_column(ratio=1)
        head.add_column()
        day = simulation.clock.now().strftime("%a %H:%M:%S")
        speed = f"{scenario.duration / SECOND_US / PLAYS_S if self.speed is None else self.speed:g}"
        head.add_row(
            Text(f"{day}  {_clock(now_us)} of {duration(scenario.duration / SECOND_US)}"),
            ProgressBar(total=scenario.duration, completed=now_us),
            Text(f"{speed}×", style="dim"),
        )
        parts: list[RenderableType] = [
            Rule(Text(f"{self.loaded.name}, seed {simulation.seed}", style="bold"), align="left"),
            Text(scenario.question),
            head,
            self._table_of_numbers(),
            self._table_of_objects(),
            self._table_of_expectations(),
        ]
        used = sum(len(self.console.render_lines(part, pad=False)) for part in parts)
        room = max(0, min(LINES_KEPT, self.console.height - used - 2))
        latest = list(self.happenings.latest)[-room:] if room else []
        lines = [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in latest]
        return Group(*parts, *lines)

    def _table_of_numbers(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column()
        table.add_column(justify="right")
        table.add_column(style="cyan")
        now_us = self.simulation.kernel.now_us
        for name, value, series in self._numbers():
            spark = sparkline(series, now_us) if series is not None else ""
            table.add_row(Text(name), Text(value), Text(spark))
        return table

    def _numbers(self) -> Iterator[tuple[str, str, Series | None]]:
        """What is counted: workloads, pods, nodes."""
        recorder, cache = self.simulation.recorder, self.simulation.cache
        for workload in self.simulation.scenario.workloads:
            wanted, ready = (recorder.series(f"{workload}.{n}") for n in ("replicas", "ready"))
            yield workload, f"{ready.last:g}/{wanted.last:g} ready", wanted
            for what in _TELLING:
                series = recorder.get(f"{workload}.{what}")
                if series is not None:
                    yield f"{workload}.{what}", f"{series.last:,.0f} {series.unit}", series
                    break
        for what, resource in (("pods", POD), ("nodes", NODE)):
            objects = cache.list(resource)
            ready_now = sum(is_ready(obj) for obj in objects)
            yield what, f"{ready_now}/{len(objects)} ready", None

    def _table_of_objects(self) -> Table:
        table = Table.grid(padding=(0, 2))
        cache = self.simulation.cache
        for obj in (*cache.list(PRISM_STACK), *cache.list(PRISM_PATTERN)):
            said = condition(obj, "Ready") or {}
            ready = is_true(obj, "Ready")
            table.add_row(
                Text(f"{obj['kind']}/{obj['metadata']['name']}"),
                Text("Ready" if ready else "not Ready", style="green" if ready else "yellow"),
                Text("" if ready else str(said.get("reason", "")), style="dim"),
            )
        return table

    def _table_of_expectations(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for judge in self.simulation.judges.judges:
            mark, style = _mark(judge)
            why = f": {judge.why}" if judge.verdict is False and judge.why else ""
            text = Text(described(judge.expectation) + why, no_wrap=True, overflow="ellipsis")
            table.add_row(Text(mark, style=style), text)
        for violation in self.simulation.violations[:3]:
            table.add_row(Text("✗", style="red"), Text(violation))
        return table


def sparkline(series: Series, now_us: Us, width: int = SPARKS_SHOWN) -> str:
    """The course of a number from the beginning until now, its largest value on top."""
    spans = [(now_us * i // width, now_us * (i + 1) // width) for i in range(width)]
    tops = [series.max(begin, end) if begin < end else series.at(begin) for begin, end in spans]
    top = max(tops)
    if top <= 0:
        return SPARKS[0] * width
    return "".join(SPARKS[round(value / top * (len(SPARKS) - 1))] for value in tops)


def _mark(judge: Judge) -> tuple[str, str]:
    if judge.verdict is None:
        return "·", "dim"
    return ("✓", "green") if judge.verdict else ("✗", "red")


def _clock(at_us: Us) -> str:
    return duration(at_us // SECOND_US)
