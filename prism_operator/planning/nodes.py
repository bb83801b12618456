"""The nodes of a cluster as a few groups: thousands of them differ in little that matters.

Only what lasts counts. Taints that the node lifecycle sets and takes away, and whether a node is
ready just now, say nothing about where pods can ever go.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.api.quantities import parse_quantity
from prism_operator.planning.memo import remembered

NODE_NAME: Final = "metadata.name"
"""Stands for a node's name among its labels, as ``matchFields`` have it."""
_PASSING_TAINTS: Final = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
_REPELLING: Final = ("NoSchedule", "NoExecute")

Amounts: TypeAlias = tuple[tuple[str, str], ...]
"""Resources and quantities, sorted."""


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """A taint that keeps pods away."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return (
            f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"
        )


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """``count`` nodes that are alike in what was asked.

    ``fits`` says whether they have what was requested, ``largest`` the most that one of them has.
    """

    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    cordoned: bool
    fits: bool
    count: int
    largest: Mapping[str, str]


class Survey:
    """All nodes, grouped as they are asked for; each grouping is made once."""

    def __init__(self, nodes: Iterable[ReadOnlyJson]) -> None:
        self._nodes = [_node(node) for node in nodes]
        self._groups: dict[tuple[tuple[str, ...], Amounts], tuple[NodeGroup, ...]] = {}

    def groups(self, keys: frozenset[str], requests: Amounts) -> tuple[NodeGroup, ...]:
        """The nodes by these labels, their taints, and whether they have room for the requests."""
        question = (tuple(sorted(keys)), requests)
        if question not in self._groups:
            self._groups[question] = self._group(*question)
        return self._groups[question]

    def _group(self, keys: tuple[str, ...], requests: Amounts) -> tuple[NodeGroup, ...]:
        alike: dict[_Traits, list[_Node]] = {}
        for node in self._nodes:
            values = tuple(node.name if key == NODE_NAME else node.labels.get(key) for key in keys)
            fits = _fits(node.allocatable, requests)
            alike.setdefault((values, node.taints, node.cordoned, fits), []).append(node)
        return tuple(
            NodeGroup(
                labels={
                    key: value for key, value in zip(keys, values, strict=True) if value is not None
                },
                taints=taints,
                cordoned=cordoned,
                fits=fits,
                count=len(nodes),
                largest=largest(requests, map(dict, {node.allocatable for node in nodes})),
            )
            for (values, taints, cordoned, fits), nodes in alike.items()
        )


@remembered(entries=4)
def survey(nodes: Sequence[Json]) -> Survey:
    """The survey of these nodes, shared by all plans that are made from them."""
    return Survey(nodes)


def largest(requests: Amounts, offers: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """For every resource requested, the largest amount among the offers."""
    offered = list(offers)
    return {
        name: max((offer.get(name, "0") for offer in offered), key=amount_of)
        for name, _ in requests
        if offered
    }


@lru_cache(maxsize=4096)
def amount_of(text: str) -> Decimal:
    """The amount a quantity stands for."""
    return parse_quantity(text)


def lasting_facts(node: ReadOnlyJson) -> Json:
    """What of a node decides where pods can go: its heartbeats, images and addresses do not."""
    metadata, spec = node["metadata"], node.get("spec") or {}
    facts: Json = {
        "apiVersion": node["apiVersion"],
        "kind": node["kind"],
        "metadata": {
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
            # Thousands of nodes have the same labels: one copy of each text will do.
            "labels": {
                sys.intern(str(key)): sys.intern(str(value))
                for key, value in (metadata.get("labels") or {}).items()
            },
        },
        "status": {
            "allocatable": {
                sys.intern(str(key)): sys.intern(str(value))
                for key, value in ((node.get("status") or {}).get("allocatable") or {}).items()
            }
        },
    }
    kept: Json = {"unschedulable": True} if spec.get("unschedulable") else {}
    if taints := [taint for taint in spec.get("taints") or () if _lasts(taint)]:
        # When it was put there does not matter.
        kept["taints"] = [{k: v for k, v in t.items() if k != "timeAdded"} for t in taints]
    return {**facts, "spec": kept}


_Traits: TypeAlias = tuple[tuple[str | None, ...], tuple[Taint, ...], bool, bool]


class _Node(NamedTuple):
    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    cordoned: bool
    allocatable: Amounts


def _node(node: ReadOnlyJson) -> _Node:
    metadata, spec = node["metadata"], node.get("spec") or {}
    taints = [
        Taint(taint["key"], taint.get("value") or "", taint["effect"])
        for taint in spec.get("taints") or ()
        if _lasts(taint)
    ]
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return _Node(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        taints=tuple(sorted(taints)),
        cordoned=bool(spec.get("unschedulable")),
        allocatable=tuple((name, str(allocatable[name])) for name in sorted(allocatable)),
    )


def _lasts(taint: ReadOnlyJson) -> bool:
    return taint["effect"] in _REPELLING and not taint["key"].startswith(_PASSING_TAINTS)


@lru_cache(maxsize=8192)
def _fits(allocatable: Amounts, requests: Amounts) -> bool:
    # A node that has just joined does not say yet what it has.
    room = dict(allocatable)
    return not room or all(
        amount_of(amount) <= amount_of(room.get(name, "0")) for name, amount in requests
    )
