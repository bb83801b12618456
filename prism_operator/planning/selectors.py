"""Label selectors, as ``k8s.io/apimachinery/pkg/labels`` reads them."""

from __future__ import annotations

from collections.abc import Mapping

from prism_operator.api.meta import ReadOnlyJson


def selects(selector: ReadOnlyJson | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects what bears ``labels``."""
    if selector is None:  # a missing selector selects nothing, an empty one everything
        return False
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        meets(requirement, labels) for requirement in selector.get("matchExpressions") or ()
    )


def meets(requirement: ReadOnlyJson, labels: Mapping[str, str]) -> bool:
    """Whether ``labels`` meet one requirement; Gt and Lt are those of node selectors."""
    found = labels.get(requirement["key"])
    values = requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt" | "Lt" as operator:
            number, bound = _number(found), _number(values[0] if values else None)
            if number is None or bound is None:
                return False
            return number > bound if operator == "Gt" else number < bound
    return False


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
