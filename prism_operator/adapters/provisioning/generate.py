"""Generates the messages of ``control_plane.proto``: ``python -m … --write`` or ``--check``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from prism_operator.generated import main

_PROTO: Final = Path("prism_operator/adapters/provisioning/control_plane.proto")


def render(root: Path) -> dict[Path, str]:
    """The generated files, by path."""
    # A tool of developers: the operator runs without it.
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as made:
        # The path below the root is the module's name in the generated code.
        arguments = ["", f"--proto_path={root}", f"--python_out={made}", f"--pyi_out={made}"]
        if protoc.main([*arguments, str(root / _PROTO)]) != 0:
            raise SystemExit(f"{root / _PROTO}: protoc refuses it, as it says above")
        generated = sorted((Path(made) / _PROTO.parent).iterdir())
        return {root / _PROTO.parent / path.name: path.read_text() for path in generated}


if __name__ == "__main__":
    sys.exit(main(f"python -m {__spec__.name}", sys.argv[1:], render))
