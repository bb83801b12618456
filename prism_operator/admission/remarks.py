"""What is allowed, and most likely not meant."""

from __future__ import annotations

from typing import Final

from prism_operator.api.backend import PROVIDERS
from prism_operator.api.meta import GROUP, PRISM_STACK, Json
from prism_operator.planning.names import ADOPT_ANNOTATION, PAUSED_ANNOTATION

_SWITCHES: Final = (ADOPT_ANNOTATION, PAUSED_ANNOTATION)
_KNOWN: Final = (
    *_SWITCHES,
    f"{GROUP}/allowed-namespaces",
    f"{GROUP}/applied",
)


def remarks_on_annotations(obj: Json, old: Json | None) -> list[str]:
    """Remarks about the annotations of ours that are new or have changed."""
    before = {} if old is None else old["metadata"].get("annotations") or {}
    remarks = []
    for key, value in sorted((obj["metadata"].get("annotations") or {}).items()):
        if not key.startswith(f"{GROUP}/") or before.get(key) == value:
            continue
        if key not in _KNOWN:
            remarks.append(
                f"metadata.annotations: {key} is unknown to the operator, which knows "
                f"{', '.join(_KNOWN[:-1])}"
            )
        elif key in _SWITCHES and value not in ("true", "false"):
            remarks.append(f'metadata.annotations: {key} does nothing until its value is "true"')
    return remarks


def remarks_on_spec(obj: Json, old: Json | None) -> list[str]:
    """Remarks about the spec as such."""
    remarks = []
    for owner in obj["metadata"].get("ownerReferences") or ():
        if old is not None and owner.get("controller") and owner["kind"] == PRISM_STACK.kind:
            remarks.append(
                f"PrismStack {owner['name']} made this and will write its own spec over it: change "
                "the stack instead"
            )
    spec = obj["spec"]
    sections = {"spec": spec} if obj["kind"] == "PrismBackend" else {}
    if obj["kind"] == PRISM_STACK.kind:
        sections = {f"spec.backends[{i}]": b for i, b in enumerate(spec.get("backends") or ())}
    for path, section in sections.items():
        provider = section.get("provider")
        if provider is not None and provider not in PROVIDERS:
            remarks.append(
                f"{path}.provider: {provider} is none that the operator knows "
                f"({', '.join(PROVIDERS)}), so its health is not checked"
            )
    return remarks
