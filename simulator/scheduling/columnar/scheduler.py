"""The default profile over columns: classes of pods onto thousands of nodes.

Decides as ``decision.Sampler`` does with ``Evaluation.best``; a test holds it to that. What a pod
asks for is looked at once for its class, what a node holds once for each bind. Compiled loops and
plain numpy decide alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prism_operator.api.meta import Json
from simulator.scheduling.columnar import kernels, plain
from simulator.scheduling.columnar.cluster import ColumnarCluster
from simulator.scheduling.columnar.columns import Ints
from simulator.scheduling.decision import feasible_wanted
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.selectors import Selector


class Decision(NamedTuple):
    """The node taken (None: none), and the feasible nodes that were looked at with their totals.

    ``evaluated`` counts the nodes looked at. Totals lack what all nodes get alike.
    """

    node: int | None
    evaluated: int
    feasible: Ints
    totals: Ints


class ColumnarScheduler:
    """Nodes by slot, pods by class; where each next pod goes.

    Namespaces' labels, Services' selectors and owners are as in ``Cluster``. They have to be known
    before the classes of the pods that they select.
    """

    def __init__(
        self,
        *,
        namespaces: Mapping[str, Mapping[str, str]] | None = None,
        services: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
        owners: Mapping[tuple[str, str, str], Selector] | None = None,
        compiled: bool = True,
    ) -> None:
        self._decide = kernels.decide if compiled else plain.decide
        self._place_many = kernels.place_many if compiled else plain.place_many
        self._bind = kernels.bind_compiled if compiled else plain.bind
        self.cluster = ColumnarCluster(
            namespaces=namespaces,
            services=services,
            owners=owners,
            unbind=kernels.unbind_compiled if compiled else kernels.unbind,
            count_effects=kernels.count_effects_compiled if compiled else kernels.count_effects,
        )
        self.start = 0  # where the next search begins, in the order of nodes

    def add_node(self, node: Json) -> int:
        """A node has come; its index. Those of nodes that have gone are used again."""
        return self.cluster.add_node(node)

    def remove_node(self, node: int) -> None:
        """A node has gone, with all pods that were on it."""
        self.cluster.remove_node(node)

    def update_node(self, node: int, obj: Json) -> None:
        """A node has other labels, taints or room, or is cordoned; its pods stay."""
        self.cluster.update_node(node, obj)

    def node_of(self, name: str) -> int:
        """The index of a node."""
        return self.cluster.slots[name]

    def register(self, template: Json | PodInfo) -> int:
        """A class of pods that are all as this one; its number."""
        pod = template if isinstance(template, PodInfo) else parse_pod(template)
        return self.cluster.register(pod)

    def decide(self, pod: int, *, nomination: int = -1) -> Decision:
        """Where a pod of a class goes now, without going there; the next search starts after it.

        ``nomination`` is the pod's own, which does not stand in its way.
        """
        c = self.cluster.columns()
        order = self._candidates(pod)
        start = self.start % max(1, len(order))
        node, evaluated, feasible = self._decide(
            c, pod, order, start, feasible_wanted(len(order)), nomination
        )
        self.start = (self.start + evaluated) % max(1, len(self.cluster.order))
        return Decision(
            None if node < 0 else int(node),
            int(evaluated),
            c.found[:feasible].copy(),
            c.totals[:feasible].copy(),
        )

    def schedule(self, pod: int) -> int | None:
        """Binds a pod of a class; where, or None when it fits nowhere."""
        node = self.decide(pod).node
        if node is not None:
            self.bind(pod, node)
        return node

    def schedule_many(self, pods: ArrayLike) -> Ints:
        """Binds pod after pod, given their classes; where, −1 for those that fit nowhere."""
        classes = np.ascontiguousarray(pods, np.int64)
        taken = np.full(len(classes), -1, np.int64)
        named = [n for n, kind in enumerate(self.cluster.classes) if kind.named is not None]
        first = 0
        for index in [*np.flatnonzero(np.isin(classes, named)).tolist(), len(classes)]:
            self._schedule_unnamed(classes[first:index], taken[first:index])
            if index < len(classes):
                node = self.schedule(int(classes[index]))
                taken[index] = -1 if node is None else node
            first = index + 1
        return taken

    def bind(self, pod: int, node: int) -> None:
        """A pod of a class is on a node from now on, whether it fits or not."""
        self._bind(self.cluster.columns(), pod, node)

    def unbind(self, pod: int, node: int, *, leaving: bool = False) -> None:
        """A pod of a class has left its node; ``leaving`` when it was marked so before."""
        if not self.cluster.is_on(pod, node, leaving=leaving):
            raise ValueError(f"no pod of class {pod} is on the node in slot {node}")
        self.cluster.count_out([pod], node, [leaving])

    def mark_leaving(self, pod: int, node: int) -> None:
        """A pod of a class on a node is being deleted; it takes room until it is unbound."""
        self.cluster.mark_leaving(pod, node)

    def nominate(self, pod: int, node: int) -> int:
        """Keeps room on a node for a pod, against pods that are not more important."""
        return self.cluster.nominate(pod, node)

    def withdraw(self, nomination: int) -> None:
        """Room is no longer kept."""
        self.cluster.withdraw(nomination)

    def _schedule_unnamed(self, pods: Ints, taken: Ints) -> None:
        if len(pods):
            order = self.cluster.order
            self.start = int(
                self._place_many(
                    self.cluster.columns(),
                    pods,
                    order,
                    self.start % max(1, len(order)),
                    feasible_wanted(len(order)),
                    taken,
                )
            )

    def _candidates(self, pod: int) -> Ints:
        order, named = self.cluster.order, self.cluster.classes[pod].named
        if named is None:
            return order
        slots = self.cluster.slots
        return order[np.isin(order, [slots[name] for name in sorted(named & slots.keys())])]
