"""Label selectors and node selectors, compiled once and asked often.

After apimachinery ``pkg/labels`` and component-helpers ``scheduling/corev1/nodeaffinity``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prism_operator.api.meta import ReadOnlyJson

Labels: TypeAlias = Mapping[str, str]
_Requirement: TypeAlias = Callable[[Labels], bool]


@dataclass(frozen=True, slots=True)
class Selector:
    """A compiled label selector. ``nothing`` selects nothing, whatever the requirements."""

    requirements: tuple[_Requirement, ...] = ()
    nothing: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it selects everything for want of requirements."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Labels) -> bool:
        """Whether it selects an object with these labels."""
        return not self.nothing and all(met(labels) for met in self.requirements)

    def plus(self, requirements: Sequence[_Requirement]) -> Selector:
        """With more requirements; what selects nothing still does."""
        return Selector((*self.requirements, *requirements), self.nothing)


NOTHING = Selector(nothing=True)


def compile_selector(selector: ReadOnlyJson | None) -> Selector:
    """A LabelSelector; null selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    return Selector(requirements_of(selector))


def requirements_of(selector: ReadOnlyJson) -> tuple[_Requirement, ...]:
    """The requirements of a LabelSelector."""
    return (
        *(is_equal(key, value) for key, value in (selector.get("matchLabels") or {}).items()),
        *(_requirement(expression) for expression in selector.get("matchExpressions") or ()),
    )


def is_equal(key: str, value: str) -> _Requirement:
    """A label with exactly this value."""
    return lambda labels: labels.get(key) == value


def _requirement(expression: ReadOnlyJson) -> _Requirement:
    key, values = expression["key"], frozenset(expression.get("values") or ())
    match expression["operator"]:
        case "In":
            return lambda labels: labels.get(key) in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case "Gt" | "Lt" as operator:
            return _comparison(key, operator, expression["values"][0])
        case other:
            raise ValueError(f'selector operator "{other}" is unknown')


def _comparison(key: str, operator: str, text: str) -> _Requirement:
    bound = _integer(text)

    def met(labels: Labels) -> bool:
        value = _integer(labels.get(key, ""))
        if value is None or bound is None:
            return False
        return value > bound if operator == "Gt" else value < bound

    return met


def _integer(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isdecimal() else None


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One term of a node selector. ``names`` are the nodes that its matchFields leave, or None.

    Terms are ORed. One without any requirement matches no node.
    """

    labels: tuple[_Requirement, ...]
    fields: tuple[_Requirement, ...]
    names: frozenset[str] | None

    def matches(self, name: str, labels: Labels) -> bool:
        """Whether a node meets all requirements."""
        if not self.labels and not self.fields:
            return False
        return all(met(labels) for met in self.labels) and all(
            met({"metadata.name": name}) for met in self.fields
        )


def compile_node_term(term: ReadOnlyJson) -> NodeTerm:
    """A NodeSelectorTerm."""
    fields = term.get("matchFields") or ()
    names: frozenset[str] | None = None
    for expression in fields:
        if expression["key"] == "metadata.name" and expression["operator"] == "In":
            values = frozenset(expression["values"])
            names = values if names is None else names & values
    return NodeTerm(
        tuple(_requirement(expression) for expression in term.get("matchExpressions") or ()),
        tuple(_requirement(expression) for expression in fields),
        names,
    )
