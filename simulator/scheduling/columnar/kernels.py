"""The rules over columns for one node at a time, and compiled loops over nodes and pods.

A rule is plain Python when called from Python; the loops are compiled. All of it is in one file
because numba's cache on disk looks at the age of the file that a compiled function is in. Integers
and floats divide where the plugins divide (``simulator.scheduling.scores``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit
from numba.extending import register_jitable

from simulator.scheduling.columnar.columns import (
    ATTRACTED,
    COUNTER,
    CPU,
    HARD,
    IMAGES,
    MEMORY,
    NEEDS_KEYS,
    PLACEMENT,
    PRIORITY,
    REPELLED,
    SHAPE,
    SOFT,
    SPARES_LEAVING,
    SUITS_ITSELF,
    TRIAL_WEIGHT,
    WANTED,
    WEIGHT,
    Columns,
    Ints,
)

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _rule(function: Callable[_P, _R]) -> Callable[_P, _R]:
    return register_jitable(function)


def _compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    return cast(Callable[_P, _R], njit(cache=True)(function))


@_rule
def emptiness(used: int, capacity: int) -> int:
    """What share of a resource is left, 0 to 100."""
    return 0 if used > capacity else (capacity - used) * 100 // capacity


@_rule
def balance(cpu: int, cpu_most: int, memory: int, memory_most: int) -> int:
    """How close the used shares of two resources are, 0 to 100."""
    deviation = abs((min(cpu / cpu_most, 1.0) - min(memory / memory_most, 1.0)) / 2)
    return int((1 - deviation) * 100.0)


@_rule
def own_score(c: Columns, shape: int, node: int) -> int:
    """LeastAllocated and BalancedAllocation together; -1 when the shape does not fit."""
    if c.pods_used[node] + 1 > c.pods_most[node]:
        return -1
    for resource in range(c.requests.shape[1]):
        wanted = c.requests[shape, resource]
        if wanted > 0 and wanted > c.allocatable[resource, node] - c.used[resource, node]:
            return -1
    for index in range(c.conflicts_first[shape], c.conflicts_first[shape + 1]):
        if c.ports[c.conflicts[index], node] > 0:
            return -1
    cpu_most, memory_most = c.allocatable[CPU, node], c.allocatable[MEMORY, node]
    score, parts = 0, 0
    if cpu_most:
        score += emptiness(c.scored[CPU, node] + c.scored_requests[shape, CPU], cpu_most)
        parts += 1
    if memory_most:
        score += emptiness(c.scored[MEMORY, node] + c.scored_requests[shape, MEMORY], memory_most)
        parts += 1
    if parts == 2:
        score //= 2
    if c.is_balanced[shape]:
        change = 0
        if parts == 2:
            cpu, memory = c.used[CPU, node], c.used[MEMORY, node]
            change = balance(
                cpu + c.requests[shape, CPU],
                cpu_most,
                memory + c.requests[shape, MEMORY],
                memory_most,
            ) - balance(cpu, cpu_most, memory, memory_most)
        score += 50 + (50 + change) // 2
    return int(score)


@_rule
def fewest(c: Columns, counter: int, min_domains: int) -> int:
    """The pods in the domain that has the fewest; 0 while there are less than minDomains."""
    first = c.counter_first[counter]
    least, domains = 2**62, 0
    for domain in range(first, first + c.domain_limit[c.counter_key[counter]]):
        if c.present[domain] > 0:
            domains += 1
            least = min(least, c.counts[domain])
    return least if domains >= min_domains else 0


@_rule
def keeps_skew(c: Columns, use: int, least: int, node: int) -> bool:
    """Whether a hard constraint lets the pod onto a node."""
    counter = c.uses[use, 0]
    domain = c.domains[c.counter_key[counter], node]
    if domain < 0:
        return False
    count = c.counts[c.counter_first[counter] + domain]
    return bool(count + c.uses[use, 3] - least <= c.uses[use, 1])


@_rule
def count_at(c: Columns, counter: int, node: int) -> int:
    """A counter in the domain of a node; 0 when it is in none."""
    domain = c.domains[c.counter_key[counter], node]
    return int(c.counts[c.counter_first[counter] + domain]) if domain >= 0 else 0


@_rule
def is_first(c: Columns, pod: int) -> bool:
    """Whether pods that want company of their own kind have none anywhere yet."""
    if not c.classes[pod, SUITS_ITSELF]:
        return False
    for use in range(c.uses_first[pod, WANTED], c.uses_first[pod, WANTED + 1]):
        if c.counter_total[c.uses[use, 0]] != 0:
            return False
    return True


@_rule
def suits_neighbours(c: Columns, pod: int, node: int, first: bool) -> bool:
    """Whether affinity and anti-affinity, the pod's and the others', let it onto a node."""
    for use in range(c.uses_first[pod, WANTED], c.uses_first[pod, WANTED + 1]):
        counter = c.uses[use, 0]
        if c.domains[c.counter_key[counter], node] < 0:
            return False
        if not first and count_at(c, counter, node) <= 0:
            return False
    for use in range(c.uses_first[pod, REPELLED], c.uses_first[pod, REPELLED + 1]):
        if count_at(c, c.uses[use, 0], node) > 0:
            return False
    return True


@_rule
def fits(c: Columns, pod: int, node: int) -> bool:
    """All filters, counted anew."""
    if not c.allowed[c.classes[pod, PLACEMENT], node]:
        return False
    if own_score(c, c.classes[pod, SHAPE], node) < 0:
        return False
    for use in range(c.uses_first[pod, HARD], c.uses_first[pod, HARD + 1]):
        if not keeps_skew(c, use, fewest(c, c.uses[use, 0], c.uses[use, 2]), node):
            return False
    return suits_neighbours(c, pod, node, is_first(c, pod))


@_rule
def count_pod(c: Columns, pod: int, node: int, sign: int, column: int, leaves: bool) -> None:
    """Counts a pod of a class in or out on a node."""
    shape = c.classes[pod, SHAPE]
    c.version[node] += 1
    c.pods_used[node] += sign
    c.scored[CPU, node] += sign * c.scored_requests[shape, CPU]
    c.scored[MEMORY, node] += sign * c.scored_requests[shape, MEMORY]
    for resource in range(c.requests.shape[1]):
        c.used[resource, node] += sign * c.requests[shape, resource]
    for index in range(c.ports_first[shape], c.ports_first[shape + 1]):
        c.ports[c.ports_taken[index], node] += sign
    count_effects(c, pod, node, sign, column, leaves)


@_rule
def count_effects(c: Columns, pod: int, node: int, sign: int, column: int, leaves: bool) -> None:
    """Changes the counters that a pod of a class has an effect on."""
    for effect in range(c.effects_first[pod], c.effects_first[pod + 1]):
        if leaves and c.effects[effect, SPARES_LEAVING]:
            continue
        counter = c.effects[effect, COUNTER]
        domain = c.domains[c.counter_key[counter], node]
        if domain >= 0 and c.masks[c.counter_mask[counter], node]:
            weight = sign * c.effects[effect, column]
            c.counts[c.counter_first[counter] + domain] += weight
            c.counter_total[counter] += weight


@_rule
def bind(c: Columns, pod: int, node: int) -> None:
    """A pod of a class is on a node from now on."""
    c.bound[pod, node] += 1
    count_pod(c, pod, node, 1, WEIGHT, False)


@_rule
def fits_beside_nominated(c: Columns, pod: int, node: int, own: int) -> bool:
    """Whether a pod also fits with those that preemption has promised the node to.

    Pods less important than it do not count, nor does its ``own`` nomination.
    """
    _count_nominated(c, pod, node, own, 1)
    result = fits(c, pod, node)
    _count_nominated(c, pod, node, own, -1)
    return result


@_rule
def _count_nominated(c: Columns, pod: int, node: int, own: int, sign: int) -> None:
    for index in range(c.nominations.shape[0]):
        if index == own or c.nominations[index, 1] != node + 1:
            continue
        other = c.nominations[index, 0] - 1
        if c.classes[other, PRIORITY] >= c.classes[pod, PRIORITY]:
            count_pod(c, other, node, sign, TRIAL_WEIGHT, False)


@_compiled
def decide(
    c: Columns, pod: int, order: Ints, start: int, wanted: int, own: int
) -> tuple[int, int, int]:
    """The best node, how many were looked at, how many are feasible.

    Leaves the feasible nodes in ``found`` and what they score in ``totals``.
    """
    count = len(order)
    placement, shape = c.classes[pod, PLACEMENT], c.classes[pod, SHAPE]
    hard, hard_end = c.uses_first[pod, HARD], c.uses_first[pod, HARD + 1]
    for use in range(hard, hard_end):
        c.uses[use, 4] = fewest(c, c.uses[use, 0], c.uses[use, 2])
    first = is_first(c, pod)
    has_terms = c.uses_first[pod, WANTED] < c.uses_first[pod, REPELLED + 1]
    feasible, looked_at = 0, count
    for offset in range(count):
        position = start + offset
        node = order[position - count if position >= count else position]
        if not c.allowed[placement, node]:
            continue
        if c.own_version[shape, node] != c.version[node]:
            c.own[shape, node] = own_score(c, shape, node)
            c.own_version[shape, node] = c.version[node]
        if c.own[shape, node] < 0:
            continue
        fits_others = True
        for use in range(hard, hard_end):
            if not keeps_skew(c, use, c.uses[use, 4], node):
                fits_others = False
                break
        if not fits_others or (has_terms and not suits_neighbours(c, pod, node, first)):
            continue
        if c.nominated[node] > 0 and not fits_beside_nominated(c, pod, node, own):
            continue
        if feasible == wanted:
            looked_at = offset  # one too many: neither feasible nor looked at
            break
        c.found[feasible] = node
        feasible += 1
    best = _best(c, pod, feasible) if feasible else -1
    return best, looked_at, feasible


@_rule
def _best(c: Columns, pod: int, feasible: int) -> int:
    placement, shape = c.classes[pod, PLACEMENT], c.classes[pod, SHAPE]
    images = c.classes[pod, IMAGES]
    for index in range(feasible):
        node = c.found[index]
        c.totals[index] = c.own[shape, node] + c.images[images, node]
    if c.is_disliked[placement]:
        _add_taints(c, placement, feasible)
    if c.is_preferred[placement]:
        _add_preferred(c, placement, feasible)
    if c.uses_first[pod, SOFT] < c.uses_first[pod, SOFT + 1]:
        _add_spread(c, pod, feasible)
    if c.uses_first[pod, ATTRACTED] < c.uses_first[pod, ATTRACTED + 1]:
        _add_attraction(c, pod, feasible)
    best = 0
    for index in range(1, feasible):
        more = c.totals[index] - c.totals[best]
        if more > 0 or (more == 0 and c.rank[c.found[index]] < c.rank[c.found[best]]):
            best = index
    return int(c.found[best])


@_rule
def _add_taints(c: Columns, placement: int, feasible: int) -> None:
    most = 0
    for index in range(feasible):
        most = max(most, c.disliked[placement, c.found[index]])
    if most:
        for index in range(feasible):
            c.totals[index] -= 3 * (100 * c.disliked[placement, c.found[index]] // most)


@_rule
def _add_preferred(c: Columns, placement: int, feasible: int) -> None:
    most = 0
    for index in range(feasible):
        most = max(most, c.preferred[placement, c.found[index]])
    if most:
        for index in range(feasible):
            c.totals[index] += 2 * (100 * c.preferred[placement, c.found[index]] // most)


@_rule
def _add_spread(c: Columns, pod: int, feasible: int) -> None:
    soft, soft_end = c.uses_first[pod, SOFT], c.uses_first[pod, SOFT + 1]
    served = c.classes[pod, NEEDS_KEYS]
    eligible = 0
    for index in range(feasible):
        if c.masks[served, c.found[index]]:
            eligible += 1
    for use in range(soft, soft_end):
        size = eligible
        if not c.uses[use, 2]:
            size = _domains_found(c, c.uses[use, 3], served, feasible)
        c.uses[use, 4] = size + 2
    most, least = -1, 2**62
    for index in range(feasible):
        node = c.found[index]
        if not c.masks[served, node]:
            continue
        score = 0.0
        for use in range(soft, soft_end):
            if c.domains[c.uses[use, 3], node] >= 0:
                score += (
                    count_at(c, c.uses[use, 0], node) * c.logarithms[c.uses[use, 4]]
                    + c.uses[use, 1]
                )
        whole = int(score)  # half away from zero, as Go rounds; scores are never negative
        whole += score - whole >= 0.5
        c.raw[index] = whole
        most, least = max(most, whole), min(least, whole)
    for index in range(feasible):
        if c.masks[served, c.found[index]]:
            if most == 0:
                c.totals[index] += 2 * 100
            else:
                c.totals[index] += 2 * (100 * (most + least - c.raw[index]) // most)


@_rule
def _domains_found(c: Columns, key: int, served: int, feasible: int) -> int:
    """How many domains of a key the feasible nodes are in; those without it make one more."""
    c.stamps[key, 0] += 1
    stamp = c.stamps[key, 0]
    size, lacks = 0, 0
    for index in range(feasible):
        node = c.found[index]
        if c.masks[served, node]:
            domain = c.domains[key, node]
            if domain < 0:
                lacks = 1
            elif c.stamps[key, domain + 1] != stamp:
                c.stamps[key, domain + 1] = stamp
                size += 1
    return size + lacks


@_rule
def _add_attraction(c: Columns, pod: int, feasible: int) -> None:
    least, most = 2**62, -(2**62)
    for index in range(feasible):
        score = 0
        for use in range(c.uses_first[pod, ATTRACTED], c.uses_first[pod, ATTRACTED + 1]):
            score += count_at(c, c.uses[use, 0], c.found[index])
        c.raw[index] = score
        least, most = min(least, score), max(most, score)
    if most > least:
        for index in range(feasible):
            share = (c.raw[index] - least) / (most - least)
            c.totals[index] += 2 * int(100.0 * share)


@_compiled
def place_many(c: Columns, pods: Ints, order: Ints, start: int, wanted: int, taken: Ints) -> int:
    """Decides and binds pod after pod; where the next search starts."""
    for index in range(len(pods)):
        node, looked_at, _ = decide(c, pods[index], order, start, wanted, -1)
        start = (start + looked_at) % max(1, len(order))
        taken[index] = node
        if node >= 0:
            bind(c, pods[index], node)
    return start


@_compiled
def bind_compiled(c: Columns, pod: int, node: int) -> None:
    """``bind``, compiled."""
    bind(c, pod, node)


@_compiled
def count_pod_compiled(
    c: Columns, pod: int, node: int, sign: int, column: int, leaves: bool
) -> None:
    """``count_pod``, compiled."""
    count_pod(c, pod, node, sign, column, leaves)


@_compiled
def count_effects_compiled(
    c: Columns, pod: int, node: int, sign: int, column: int, leaves: bool
) -> None:
    """``count_effects``, compiled."""
    count_effects(c, pod, node, sign, column, leaves)
