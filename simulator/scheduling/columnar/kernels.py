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
    AT_BUDGETS,
    AT_CHANGE,
    AT_VERSION,
    ATTRACTED,
    CANDIDATE,
    COUNTER,
    CPU,
    FIRST,
    HARD,
    HELPABLE,
    HIGHEST,
    HOPELESS,
    IMAGES,
    IN_VAIN,
    LATEST,
    MEMORY,
    NEEDS_KEYS,
    PLACEMENT,
    PRIORITY,
    REPELLED,
    SHAPE,
    SOFT,
    SPARES_LEAVING,
    STATUS,
    SUITS_ITSELF,
    SUM,
    TRIAL_WEIGHT,
    VICTIMS,
    VIOLATIONS,
    WANTED,
    WEIGHT,
    Columns,
    Flags,
    Ints,
    PodColumns,
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


@_rule
def unbind(c: Columns, pods: Ints, leaving: Flags, node: int) -> None:
    """Pods, given by their classes, are no longer on a node."""
    for index in range(len(pods)):
        c.bound[pods[index], node] -= 1
        c.leaving[pods[index], node] -= leaving[index]
        count_pod(c, pods[index], node, -1, WEIGHT, leaving[index])


@_compiled
def unbind_compiled(c: Columns, pods: Ints, leaving: Flags, node: int) -> None:
    """``unbind``, compiled."""
    unbind(c, pods, leaving, node)


@_compiled
def count_effects_compiled(
    c: Columns, pod: int, node: int, sign: int, column: int, leaves: bool
) -> None:
    """``count_effects``, compiled."""
    count_effects(c, pod, node, sign, column, leaves)


# Preemption, after ``simulator.scheduling.preemption``.


@_rule
def can_be_helped(c: Columns, pod: int, node: int) -> bool:
    """Whether a node rejects a pod for a reason that fewer pods on it could change."""
    if not c.allowed[c.classes[pod, PLACEMENT], node]:
        return False
    shape = c.classes[pod, SHAPE]
    for index in range(c.conflicts_first[shape], c.conflicts_first[shape + 1]):
        if c.ports[c.conflicts[index], node] > 0:
            return True
    if own_score(c, shape, node) < 0:
        for resource in range(c.requests.shape[1]):
            if c.requests[shape, resource] > c.allocatable[resource, node]:
                return False
        return True
    for use in range(c.uses_first[pod, HARD], c.uses_first[pod, HARD + 1]):
        if c.domains[c.counter_key[c.uses[use, 0]], node] < 0:
            return False
        if not keeps_skew(c, use, fewest(c, c.uses[use, 0], c.uses[use, 2]), node):
            return True
    first = is_first(c, pod)
    for use in range(c.uses_first[pod, WANTED], c.uses_first[pod, WANTED + 1]):
        if c.domains[c.counter_key[c.uses[use, 0]], node] < 0:
            return False
        if not first and count_at(c, c.uses[use, 0], node) <= 0:
            return False
    return True


@_rule
def preempt(c: Columns, t: PodColumns, pod: int, row: int, order: Ints, draw: int, own: int) -> int:
    """The node to make room on for a pod that fits nowhere; −1 when that helps nowhere.

    Its search begins at a drawn node. ``row`` is where outcomes of the pod's class are kept. The
    victims on the node are marked.
    """
    if own >= 0:  # without its own promise, what is known of that node does not hold for it
        t.outcomes[row, AT_VERSION, c.nominations[own, 1] - 1] = 0
    # Every call with all columns costs half a microsecond, so what is kept is read right here.
    keeps = _depends_on_the_node_alone(c, pod)
    version, outcomes, potential_nodes = c.version, t.outcomes[row], t.potential
    potential = 0
    for node in order:
        if not keeps or outcomes[AT_VERSION, node] != version[node] + 1:
            outcomes[AT_VERSION, node] = version[node] + 1
            outcomes[STATUS, node] = HELPABLE if _rejects_for_now(c, pod, node, own) else HOPELESS
            outcomes[FIRST, node] = _first_less_important(c, t, pod, node)
        if outcomes[STATUS, node] != HOPELESS:
            potential_nodes[potential] = node
            potential += 1
    if potential == 0:
        return -1
    on_node, on_node_count, budget_set = t.on_node, t.on_node_count, t.budget_set
    sets_first, sets, budget_version = t.sets_first, t.sets, t.budget_version
    changes = t.budget_changes[0]
    enough = min(max(100, potential // 10), potential)
    best, clean, violating = -1, 0, 0
    first = draw % potential
    for index in range(first, first + potential):
        node = potential_nodes[index if index < potential else index - potential]
        if outcomes[STATUS, node] == HELPABLE or outcomes[AT_CHANGE, node] != changes:
            outcomes[AT_CHANGE, node] = changes
            budgets = 0
            for place in range(outcomes[FIRST, node], on_node_count[node]):
                covering = budget_set[on_node[node, place]]
                for covered in range(sets_first[covering], sets_first[covering + 1]):
                    budgets += budget_version[sets[covered]]
            if outcomes[STATUS, node] == HELPABLE or outcomes[AT_BUDGETS, node] != budgets:
                outcomes[AT_BUDGETS, node] = budgets
                try_node(c, t, pod, node, own, outcomes)
        if outcomes[STATUS, node] != CANDIDATE:
            continue
        if outcomes[VIOLATIONS, node] == 0:
            clean += 1
        elif violating == enough:
            continue
        else:
            violating += 1
        if best < 0 or _is_better(outcomes, c.rank, node, best):
            best = node
        if clean > 0 and clean + violating >= enough:
            break
    if own >= 0:
        outcomes[AT_VERSION, c.nominations[own, 1] - 1] = 0
    if best >= 0:
        try_node(c, t, pod, best, own, outcomes)  # marks the victims anew
    return best


@_rule
def _depends_on_the_node_alone(c: Columns, pod: int) -> bool:
    """Whether no other node's pods matter to whether a class fits."""
    return bool(
        c.uses_first[pod, HARD] == c.uses_first[pod, HARD + 1]
        and c.uses_first[pod, WANTED] == c.uses_first[pod, REPELLED + 1]
    )


@_rule
def _rejects_for_now(c: Columns, pod: int, node: int, own: int) -> bool:
    if c.nominated[node] == 0:
        return can_be_helped(c, pod, node)
    _count_nominated(c, pod, node, own, 1)
    result = can_be_helped(c, pod, node)
    _count_nominated(c, pod, node, own, -1)
    return result


@_rule
def _first_less_important(c: Columns, t: PodColumns, pod: int, node: int) -> int:
    priority = c.classes[pod, PRIORITY]
    first = t.on_node_count[node]
    while first > 0:
        other = t.on_node[node, first - 1]
        if c.classes[t.pod_class[other], PRIORITY] >= priority:
            break
        first -= 1
    return int(first)


@_rule
def _is_better(outcomes: Ints, rank: Ints, node: int, best: int) -> bool:
    for column in (VIOLATIONS, HIGHEST, SUM, VICTIMS):
        if outcomes[column, node] != outcomes[column, best]:
            return bool(outcomes[column, node] < outcomes[column, best])
    if outcomes[LATEST, node] != outcomes[LATEST, best]:
        return bool(outcomes[LATEST, node] > outcomes[LATEST, best])
    return bool(rank[node] < rank[best])


@_rule
def try_node(c: Columns, t: PodColumns, pod: int, node: int, own: int, outcomes: Ints) -> None:
    """All less important pods leave, then as many as fit return; marks those that do not."""
    first, end = _first_less_important(c, t, pod, node), t.on_node_count[node]
    outcomes[STATUS, node] = IN_VAIN
    outcomes[VIOLATIONS, node] = 0
    if first == end:
        return
    _mark_protected(t, node, first, end)
    shape = c.classes[pod, SHAPE]
    if (
        _depends_on_the_node_alone(c, pod)
        and c.conflicts_first[shape] == c.conflicts_first[shape + 1]
        and c.nominated[node] == 0
    ):
        fits_at_last = _free_room(c, t, shape, node, first, end)
    else:
        fits_at_last = _free_all(c, t, pod, node, own, first, end)
    if fits_at_last:
        for place in range(first, end):
            if t.is_victim[place] and t.is_protected[place]:
                outcomes[VIOLATIONS, node] += 1
        _sum_up(c, t, node, first, end, outcomes)


@_rule
def _free_room(c: Columns, t: PodColumns, shape: int, node: int, first: int, end: int) -> bool:
    """Marks the victims where only resources matter; whether the pod fits then.

    Says the same as ``_free_all``, at a twentieth of its time.
    """
    requests, free, is_victim = c.requests, t.free, t.is_victim
    classes, pod_class, on_node = c.classes, t.pod_class, t.on_node
    resources = requests.shape[1]
    for resource in range(resources):
        free[resource] = c.allocatable[resource, node] - c.used[resource, node]
        for place in range(first, end):
            free[resource] += requests[classes[pod_class[on_node[node, place]], SHAPE], resource]
        if requests[shape, resource] > 0:
            free[resource] -= requests[shape, resource]
            if free[resource] < 0:
                return False
    places = c.pods_most[node] - c.pods_used[node] + end - first - 1
    if places < 0:
        return False
    for protected in (True, False):
        for place in range(first, end):
            if t.is_protected[place] != protected:
                continue
            other = classes[pod_class[on_node[node, place]], SHAPE]
            is_victim[place] = places < 1
            for resource in range(resources):
                if requests[shape, resource] > 0 and requests[other, resource] > free[resource]:
                    is_victim[place] = True
            if not is_victim[place]:
                places -= 1
                for resource in range(resources):
                    free[resource] -= requests[other, resource]
    return True


@_rule
def _free_all(
    c: Columns, t: PodColumns, pod: int, node: int, own: int, first: int, end: int
) -> bool:
    """Marks the victims by all filters; whether the pod fits then."""
    version = c.version[node]
    for place in range(first, end):
        t.is_victim[place] = True
        _count_on(c, t, node, place, -1)
    fits_at_last = _fits_with_all(c, pod, node, own)
    if fits_at_last:
        for protected in (True, False):
            for place in range(first, end):
                if t.is_protected[place] == protected:
                    _count_on(c, t, node, place, 1)
                    t.is_victim[place] = not _fits_with_all(c, pod, node, own)
                    if t.is_victim[place]:
                        _count_on(c, t, node, place, -1)
    for place in range(first, end):
        if t.is_victim[place]:
            _count_on(c, t, node, place, 1)
    c.version[node] = version
    return fits_at_last


@_rule
def _count_on(c: Columns, t: PodColumns, node: int, place: int, sign: int) -> None:
    count_pod(c, t.pod_class[t.on_node[node, place]], node, sign, TRIAL_WEIGHT, False)


@_rule
def _fits_with_all(c: Columns, pod: int, node: int, own: int) -> bool:
    if c.nominated[node] > 0 and not fits_beside_nominated(c, pod, node, own):
        return False
    return fits(c, pod, node)


@_rule
def _mark_protected(t: PodColumns, node: int, first: int, end: int) -> None:
    """Marks whose eviction would break a budget; each eviction uses one up."""
    for place in range(first, end):
        budgets = t.budget_set[t.on_node[node, place]]
        t.is_protected[place] = False
        t.charged_end[place] = t.sets_first[budgets]
        for index in range(t.sets_first[budgets], t.sets_first[budgets + 1]):
            t.charged_end[place] = index + 1
            t.disruptions_allowed[t.sets[index]] -= 1
            if t.disruptions_allowed[t.sets[index]] < 0:
                t.is_protected[place] = True
                break
    for place in range(first, end):
        budgets = t.budget_set[t.on_node[node, place]]
        for index in range(t.sets_first[budgets], t.charged_end[place]):
            t.disruptions_allowed[t.sets[index]] += 1


@_rule
def _sum_up(c: Columns, t: PodColumns, node: int, first: int, end: int, outcomes: Ints) -> None:
    outcomes[SUM, node] = outcomes[VICTIMS, node] = 0
    for place in range(first, end):
        if not t.is_victim[place]:
            continue
        victim = t.on_node[node, place]
        priority = c.classes[t.pod_class[victim], PRIORITY]
        if (
            outcomes[VICTIMS, node] == 0
        ):  # the most important come first, of these who started first
            outcomes[HIGHEST, node], outcomes[LATEST, node] = priority, t.started[victim]
        outcomes[SUM, node] += priority + 2**31
        outcomes[VICTIMS, node] += 1
    outcomes[STATUS, node] = CANDIDATE if outcomes[VICTIMS, node] else IN_VAIN


@_compiled
def preempt_compiled(
    c: Columns, t: PodColumns, pod: int, row: int, order: Ints, draw: int, own: int
) -> int:
    """``preempt``, compiled."""
    return preempt(c, t, pod, row, order, draw, own)
