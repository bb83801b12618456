"""``python -m simulator.scenario --write`` brings scenarios/schema.json and the reference page of
scenarios up to date; ``--check`` exits 1 when one differs from the models.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prism_operator import generated
from simulator.scenario.reference import render_reference
from simulator.scenario.schema import render_schema


def generated_files(root: Path) -> dict[Path, str]:
    """The files below ``root``, the project's folder."""
    return {
        root / "scenarios" / "schema.json": render_schema(),
        root / "docs" / "reference" / "scenarios.md": render_reference(),
    }


if __name__ == "__main__":
    sys.exit(generated.main("python -m simulator.scenario", sys.argv[1:], generated_files))
