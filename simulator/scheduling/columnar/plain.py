"""A decision in numpy alone: what the compiled kernels are checked against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.scheduling.columnar import columns as col
from simulator.scheduling.columnar import kernels
from simulator.scheduling.columnar.columns import Columns, Flags, Ints


def decide(
    c: Columns, pod: int, order: Ints, start: int, wanted: int, own: int
) -> tuple[int, int, int]:
    """As ``kernels.decide``: the best node, how many were looked at, how many are feasible."""
    count, looked_at = len(order), 0
    looks = _Looks(*c.classes[pod].tolist(), *c.uses_first[pod].tolist())
    least = [
        kernels.fewest(c, counter, min_domains)
        for counter, _, min_domains, *_ in c.uses[looks.hard : looks.soft].tolist()
    ]
    first = looks.wanted < looks.repelled and kernels.is_first(c, pod)
    are_promised = c.nominations[:, 0].any()
    slots = order[:0]
    step = wanted + wanted // 8 + 1
    while looked_at < count and len(slots) <= wanted:
        part = _turned(order, start + looked_at, min(step, count - looked_at))
        passes = _feasible(c, looks, part, least, first=first)
        promised = (passes & (c.nominated[part] > 0)).nonzero()[0] if are_promised else ()
        for index in promised:
            passes[index] = kernels.fits_beside_nominated(c, pod, int(part[index]), own)
        places = passes.nonzero()[0]
        if len(slots) + len(places) > wanted:
            # One too many counts neither as feasible nor as looked at.
            more = wanted - len(slots)
            slots = np.concatenate((slots, part[places[:more]]))
            looked_at += int(places[more])
            break
        slots = np.concatenate((slots, part[places]))
        looked_at += len(part)
        step *= 4
    feasible = len(slots)
    if not feasible:
        return -1, looked_at, 0
    totals = _totals(c, looks, slots)
    c.found[:feasible], c.totals[:feasible] = slots, totals
    best = slots[totals == totals.max()]
    if len(best) > 1:
        best = best[[c.rank[best].argmin()]]
    return int(best[0]), looked_at, feasible


def place_many(c: Columns, pods: Ints, order: Ints, start: int, wanted: int, taken: Ints) -> int:
    """As ``kernels.place_many``: decides and binds pod after pod."""
    for index, pod in enumerate(pods.tolist()):
        node, looked_at, _ = decide(c, pod, order, start, wanted, -1)
        start = (start + looked_at) % max(1, len(order))
        taken[index] = node
        if node >= 0:
            bind(c, pod, node)
    return start


def bind(c: Columns, pod: int, node: int) -> None:
    """A pod of a class is on a node from now on."""
    shape = c.classes[pod, col.SHAPE]
    c.bound[pod, node] += 1
    c.version[node] += 1
    c.pods_used[node] += 1
    c.scored[:2, node] += c.scored_requests[shape, :2]
    c.used[:, node] += c.requests[shape]
    for index in range(c.ports_first[shape], c.ports_first[shape + 1]):
        c.ports[c.ports_taken[index], node] += 1
    first, end = c.effects_first[pod], c.effects_first[pod + 1]
    for counter, weight, _, _ in c.effects[first:end].tolist():
        domain = c.domains[c.counter_key[counter], node]
        if domain >= 0 and c.masks[c.counter_mask[counter], node]:
            c.counts[c.counter_first[counter] + domain] += weight
            c.counter_total[counter] += weight


class _Looks(NamedTuple):
    """What a class looks at: its row, and where in ``uses`` what it uses begins, in their order."""

    shape: int
    placement: int
    images: int
    priority: int
    needs_keys: int
    suits_itself: int
    hard: int
    soft: int
    wanted: int
    repelled: int
    attracted: int
    end: int


def _turned(order: Ints, first: int, length: int) -> Ints:
    """A part of the order of nodes, which begins anew at its end."""
    first %= len(order)
    part = order[first : first + length]
    return part if len(part) == length else np.concatenate((part, order[: length - len(part)]))


def _feasible(c: Columns, looks: _Looks, slots: Ints, least: list[int], *, first: bool) -> Flags:
    own = c.own[looks.shape]
    if (c.own_version[looks.shape][slots] != c.version[slots]).any():
        # All at once, so that the next windows find theirs done.
        stale = (c.own_version[looks.shape] != c.version).nonzero()[0]
        own[stale] = _own_scores(c, looks.shape, stale)
        c.own_version[looks.shape, stale] = c.version[stale]
    passes: Flags = c.allowed[looks.placement][slots]
    passes &= own[slots] >= 0
    hard = c.uses[looks.hard : looks.soft].tolist()
    for (counter, most, _, itself, _), few in zip(hard, least, strict=True):
        domain = c.domains[c.counter_key[counter]][slots]
        passes &= domain >= 0
        passes &= c.counts[c.counter_first[counter] + domain] <= most + few - itself
    for counter, *_ in c.uses[looks.wanted : looks.repelled].tolist():
        domain = c.domains[c.counter_key[counter]][slots]
        passes &= domain >= 0
        if not first:
            passes &= c.counts[c.counter_first[counter] + domain] > 0
    for counter, *_ in c.uses[looks.repelled : looks.attracted].tolist():
        passes &= _counts_at(c, counter, slots) <= 0
    return passes


def _counts_at(c: Columns, counter: int, slots: Ints) -> Ints:
    domain = c.domains[c.counter_key[counter]][slots]
    counts: Ints = np.where(domain >= 0, c.counts[c.counter_first[counter] + domain], 0)
    return counts


def _own_scores(c: Columns, shape: int, slots: Ints) -> Ints:
    fits = c.pods_used[slots] + 1 <= c.pods_most[slots]
    for resource in np.flatnonzero(c.requests[shape] > 0):
        free = c.allocatable[resource, slots] - c.used[resource, slots]
        fits &= c.requests[shape, resource] <= free
    for port in c.conflicts[c.conflicts_first[shape] : c.conflicts_first[shape + 1]]:
        fits &= c.ports[port, slots] == 0
    most = c.allocatable[:2, slots]
    is_there = most > 0
    divisor = np.where(is_there, most, 1)
    used = c.scored[:2, slots] + c.scored_requests[shape, :2, np.newaxis]
    left = np.where(is_there & (used <= most), (most - used) * 100 // divisor, 0)
    parts = is_there.sum(axis=0)
    scores = left.sum(axis=0) // np.maximum(parts, 1)
    if c.is_balanced[shape]:
        before = c.used[:2, slots]
        after = before + c.requests[shape, :2, np.newaxis]
        change = _balance(after, divisor) - _balance(before, divisor)
        scores += 50 + (50 + np.where(parts == 2, change, 0)) // 2
    result: Ints = np.where(fits, scores, -1)
    return result


def _balance(used: Ints, most: Ints) -> Ints:
    shares = np.minimum(used / most, 1.0)
    deviation = np.abs((shares[0] - shares[1]) / 2)
    result: Ints = ((1 - deviation) * 100.0).astype(np.int64)
    return result


def _totals(c: Columns, looks: _Looks, slots: Ints) -> Ints:
    totals: Ints = c.own[looks.shape][slots].astype(np.int64)
    if looks.images:
        totals += c.images[looks.images][slots]
    if c.is_disliked[looks.placement]:
        disliked = c.disliked[looks.placement][slots]
        totals -= 3 * (100 * disliked // max(1, int(disliked.max())))
    if c.is_preferred[looks.placement]:
        preferred = c.preferred[looks.placement][slots]
        totals += 2 * (100 * preferred // max(1, int(preferred.max())))
    if looks.soft < looks.wanted:
        _add_spread(c, looks, slots, totals)
    if looks.attracted < looks.end:
        score = np.zeros(len(slots), np.int64)
        for counter, *_ in c.uses[looks.attracted : looks.end].tolist():
            score += _counts_at(c, counter, slots)
        least, most = int(score.min()), int(score.max())
        if most > least:
            share: NDArray[np.float64] = 100.0 * ((score - least) / (most - least))
            totals += 2 * share.astype(np.int64)
    return totals


def _add_spread(c: Columns, looks: _Looks, slots: Ints, totals: Ints) -> None:
    everywhere = looks.needs_keys == col.ALL_NODES
    served = c.masks[looks.needs_keys]
    eligible = slots if everywhere else slots[served[slots]]
    if not len(eligible):
        return
    score = np.zeros(len(eligible))
    for counter, skew, by_node, key, _ in c.uses[looks.soft : looks.wanted].tolist():
        domain = c.domains[key][eligible]
        size = len(eligible) if by_node else _distinct(c, key, domain)
        first = int(c.counter_first[counter])
        counts = c.counts[first : first + int(c.domain_limit[c.counter_key[counter]])]
        part = counts[eligible if by_node else domain] * c.logarithms[size + 2]
        part += skew
        if not c.is_everywhere[key]:
            part[domain < 0] = 0.0
        score += part
    whole = score.astype(np.int64)  # half away from zero, as Go rounds; scores are never negative
    whole += score - whole >= 0.5
    most, least = int(whole.max()), int(whole.min())
    normal = 100 * (most + least - whole) // most if most else np.full(len(whole), 100)
    if everywhere:
        totals += 2 * normal
    else:
        totals[served[slots]] += 2 * normal


def _distinct(c: Columns, key: int, domain: Ints) -> int:
    seen = np.zeros(int(c.domain_limit[key]) + 1, np.bool_)
    seen[domain] = True  # of nodes without the key, the last
    return int(np.count_nonzero(seen))
