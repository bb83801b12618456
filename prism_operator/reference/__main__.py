"""``python -m prism_operator.reference --write`` brings docs/reference up to date; ``--check``
exits 1 when a page differs from the code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prism_operator import generated
from prism_operator.api.validation import MODELS
from prism_operator.reference.conditions import render_conditions
from prism_operator.reference.kinds import render_kind


def generated_files(root: Path) -> dict[Path, str]:
    """The pages below ``root``, the project's folder."""
    folder = root / "docs" / "reference"
    pages = {folder / f"{kind.lower()}.md": render_kind(kind) for kind in MODELS}
    return {**pages, folder / "conditions.md": render_conditions()}


if __name__ == "__main__":
    sys.exit(generated.main("python -m prism_operator.reference", sys.argv[1:], generated_files))
