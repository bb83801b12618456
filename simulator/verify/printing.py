"""What ``prism-sim verify`` prints: agreement by field, and the first differences."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from simulator.verify import Verified
from simulator.verify.agreement import Difference

_INPUTS_LENGTH_MAX: Final = 2000
_WIDTH_MIN: Final = 140


def print_verified(results: Sequence[Verified], console: Console | None = None) -> None:
    """Prints a row for each field of each file, then what differs first."""
    console = console or Console(highlight=False, soft_wrap=True)
    # Whole names also where the output is no terminal, or a narrow one.
    console.width = max(console.width, _WIDTH_MIN)
    table = Table(box=None, pad_edge=False)
    for heading in ("recording", "field", "compared", "agree", "required"):
        is_text = heading in ("recording", "field")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for verified in results:
        name = f"{verified.path.name} ({verified.kind.NAME}, {verified.agreement.cases} cases)"
        for field, count in sorted(verified.agreement.fields.items()):
            required = verified.kind.REQUIRED.get(field, 1)
            short = count.share < required
            table.add_row(
                name,
                field,
                f"{count.total:,}",
                percent(count.share),
                percent(required),
                style="bold red" if short else None,
            )
            name = ""
    console.print(table)
    for verified in results:
        for difference in verified.agreement.differences:
            console.print(_told(verified, difference), markup=False)
    console.print("differs" if any(v.short for v in results) else "agrees as required")


def percent(share: float) -> str:
    """A share in percent, rounded down: 100 % means all."""
    return f"{math.floor(share * 10_000) / 100:.2f} %"


def _told(verified: Verified, difference: Difference) -> str:
    return (
        f"\n{verified.path.name}: {difference.case} at {difference.at}: {difference.field}\n"
        f"  recorded: {_short(difference.recorded)}\n"
        f"  ours:     {_short(difference.ours)}\n"
        f"  inputs:   {_short(difference.inputs)}"
    )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    cut = len(text) - _INPUTS_LENGTH_MAX
    return text if cut <= 0 else f"{text[:_INPUTS_LENGTH_MAX]}… ({cut} more characters)"
