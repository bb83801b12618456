"""The cluster and the classes of pods in columns: what kernels read and change.

A node is a slot, a column of every table with an axis N. Topology keys number their values
(domains); key 0 has each node as a domain of its own. A counter holds one number for each domain
of its key, and a bind changes the few counters that its class has an effect on.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

CPU: Final = 0
MEMORY: Final = 1
ITSELF: Final = 0  # the topology key whose domains are the nodes
ALL_NODES: Final = 0  # the mask that leaves out none

# Columns of a class.
SHAPE: Final = 0
PLACEMENT: Final = 1
IMAGES: Final = 2
PRIORITY: Final = 3
NEEDS_KEYS: Final = 4  # mask of the nodes that soft spread serves
SUITS_ITSELF: Final = 5  # whether the class's own pods meet its required affinity
CLASS_COLUMNS: Final = 6

# What a class uses counters for; columns of a use follow.
HARD: Final = 0  # counter, maxSkew, minDomains, whether the pod counts itself
SOFT: Final = 1  # counter, maxSkew - 1, whether each node is a domain, topology key
WANTED: Final = 2
REPELLED: Final = 3
ATTRACTED: Final = 4
USES: Final = 5

# Columns of an effect.
COUNTER: Final = 0
WEIGHT: Final = 1
TRIAL_WEIGHT: Final = 2  # as the plugins' AddPod and RemovePod count
SPARES_LEAVING: Final = 3  # whether pods that are being deleted do not count


class Columns(NamedTuple):
    """All tables. Their spare room is zero, and grows by doubling."""

    # resources × N, N, keys × N, ports × N
    allocatable: Ints
    used: Ints
    pods_most: Ints
    pods_used: Ints
    scored: Ints
    version: Ints
    rank: Ints
    domains: Ints
    ports: Ints
    nominated: Ints
    # shapes × resources, shapes × N
    requests: Ints
    scored_requests: Ints
    is_balanced: Flags
    own: Ints  # the node's score for its emptiness and balance; -1 when the shape does not fit
    own_version: Ints
    ports_first: Ints
    ports_taken: Ints
    conflicts_first: Ints
    conflicts: Ints
    # placements × N
    allowed: Flags
    disliked: Ints
    preferred: Ints
    is_disliked: Flags
    is_preferred: Flags
    # masks × N, images × N
    masks: Flags
    images: Ints
    # by counter, then one for each of its domains
    counter_key: Ints
    counter_mask: Ints
    counter_first: Ints
    counter_total: Ints
    counts: Ints
    present: Ints
    domain_limit: Ints  # by key
    is_everywhere: Flags  # by key: whether all nodes have it
    # by class
    classes: Ints
    uses_first: Ints
    uses: Ints
    effects_first: Ints
    effects: Ints
    bound: Ints
    leaving: Ints
    # by nomination
    nominations: Ints
    # the logarithm of whole numbers
    logarithms: NDArray[np.float64]
    # scratch: by position in the result, and by key and domain
    found: Ints
    totals: Ints
    raw: Ints
    stamps: Ints


# Rows of outcomes: what making room on a node for a class of pods would come to.
AT_VERSION: Final = 0  # of the node, plus one
AT_BUDGETS: Final = 1  # the sum of the versions of its pods' budgets
STATUS: Final = 2
VIOLATIONS: Final = 3
HIGHEST: Final = 4
SUM: Final = 5
VICTIMS: Final = 6
LATEST: Final = 7  # when the first of the highest victims started
FIRST: Final = 8  # the place of the first pod that is less important
AT_CHANGE: Final = 9  # of any budget
OUTCOME_ROWS: Final = 10

# Statuses.
HOPELESS: Final = 0
HELPABLE: Final = 1  # fewer pods could help; not tried
IN_VAIN: Final = 2
CANDIDATE: Final = 3


class PodColumns(NamedTuple):
    """Single pods, for preemption. Those of a node are in its row, the most important first."""

    # N × pods, N
    on_node: Ints
    on_node_count: Ints
    # by pod
    pod_class: Ints
    started: Ints
    budget_set: Ints
    # by set of budgets, by budget
    sets_first: Ints
    sets: Ints
    disruptions_allowed: Ints
    budget_version: Ints
    budget_changes: Ints  # one number: how often any of them changed
    # preempting classes × OUTCOME_ROWS × N
    outcomes: Ints
    # scratch: by node, by place on a node
    potential: Ints
    is_protected: Flags
    is_victim: Flags
    charged_end: Ints
    free: Ints  # by resource


class Table:
    """A two-dimensional array that grows by doubling."""

    def __init__(self, dtype: DTypeLike, rows: int = 1, columns: int = 1) -> None:
        self.array: NDArray[Any] = np.zeros((rows, columns), dtype)

    def fit(self, rows: int, columns: int) -> bool:
        """Makes room for so many; whether the array is another one now."""
        old = self.array
        if rows <= old.shape[0] and columns <= old.shape[1]:
            return False
        shape = tuple(
            have if wanted <= have else max(wanted, 2 * have)
            for wanted, have in zip((rows, columns), old.shape, strict=True)
        )
        self.array = np.zeros(shape, old.dtype)
        self.array[: old.shape[0], : old.shape[1]] = old
        return True
