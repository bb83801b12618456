"""What of an object is shown: no secrets, and nothing that only the server needs for its books."""

from __future__ import annotations

from typing import Any, Final

from prism_operator.api.meta import SECRET, Json
from prism_operator.planning.names import APPLIED_ANNOTATION, POD_HASHES
from prism_operator.planning.secrecy import redacted
from prism_operator.preview.merge import LAST_APPLIED

_BOOKS: Final = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_ANNOTATION_BOOKS: Final = (APPLIED_ANNOTATION, LAST_APPLIED, "deployment.kubernetes.io/revision")
# By a key that anybody may know here; and on the Deployment itself they are books.
_HASHES: Final = dict.fromkeys(POD_HASHES, "hash")
_SECRET_PARTS: Final = ("data", "stringData")


def shown_pair(before: Json | None, after: Json | None) -> tuple[Json | None, Json | None]:
    """An object before and after, fit to be compared and shown; equal when nothing changes.

    What differs only in what is hidden is marked, so that it still differs.
    """
    curtain = _Curtain()
    return curtain.hide(_cleaned(before)), curtain.hide(_cleaned(after))


def _cleaned(obj: Json | None) -> Json | None:
    if obj is None:
        return None
    metadata = {k: v for k, v in obj["metadata"].items() if k not in _BOOKS}
    annotations = metadata.pop("annotations", None) or {}
    notes = (*_ANNOTATION_BOOKS, *_HASHES)
    if kept := {k: v for k, v in annotations.items() if k not in notes}:
        metadata["annotations"] = kept
    if owners := metadata.get("ownerReferences"):
        metadata["ownerReferences"] = [{k: v for k, v in o.items() if k != "uid"} for o in owners]
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": metadata}


class _Curtain:
    """Hides secrets, and remembers what stood where, to say whether it is another now."""

    def __init__(self) -> None:
        self._seen: dict[str, object] = {}

    def hide(self, obj: Json | None) -> Json | None:
        """A copy without secrets."""
        if obj is None:
            return None
        secret = (obj.get("apiVersion"), obj.get("kind")) == (SECRET.api_version, SECRET.kind)
        return {
            key: self._hidden(value, key, "secret" if secret and key in _SECRET_PARTS else "")
            for key, value in obj.items()
        }

    def _hidden(self, value: Any, path: str, word: str) -> Any:
        if isinstance(value, dict):
            return {
                key: self._hidden(below, f"{path}.{key}", _HASHES.get(key, word))
                for key, below in value.items()
            }
        if isinstance(value, list):
            return [self._hidden(v, f"{path}[{i}]", word) for i, v in enumerate(value)]
        if word:
            return f"({word}, changed)" if self._is_another(path, value) else f"({word})"
        if isinstance(value, str) and (hidden := redacted(value)) != value:
            return f"{hidden} (changed)" if self._is_another(path, value) else hidden
        return value

    def _is_another(self, path: str, value: object) -> bool:
        return self._seen.setdefault(path, value) != value
