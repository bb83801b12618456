"""A fleet's events, one after the other, compiled: pods, autoscalers, consumers, the scheduler.

A rule is plain Python when called from Python; the entries are compiled. What HPA and KEDA decide
is what ``simulator.autoscaling`` decides, said for groups of pods that are alike: a test compares
both. What comes next is the first of a few lanes, each in the order of time already, because each
kind of wait is equally long for all. Nothing is drawn here.

Passing a tuple of arrays costs by its length, so there are few of them, with columns by number.
numba's cache looks at the age of this file alone: after a change of the scheduler's kernels, which
it calls, touch it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, ParamSpec, TypeVar, cast

import numpy as np
from numba import njit
from numba.extending import register_jitable
from numpy.typing import NDArray

from simulator.scheduling.columnar.columns import WEIGHT, Columns
from simulator.scheduling.columnar.kernels import bind, count_effects, count_pod, decide

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SECOND_US = 1_000_000
NEVER = 2**62
# What a group is scaled by.
FIXED, CPU, LAG = 0, 1, 2
# What happens next, in the order of one instant: the waits of pods first, each a lane.
STARTED, PROBED, STOPPED, CHURN, SCRAPE, LOOK, POLL, PLACE = range(8)
# States of a pod, in the order in which they go first. Until it runs it is Pending, to an HPA.
FREE, WAITING, CREATING, RUNNING, READY, LEAVING = range(6)
# What the log tells.
BOUND, BECAME_READY, DELETED, GONE, SCALED, ADDED, REMOVED = range(7)
LOG_COLUMNS = 6  # time, what, group, pod, node, value

# Columns of a group; first what every look of an HPA reads.
(
    KIND, DESIRED, LEAST, MOST, TARGET, REQUEST_M, N_READY, N_RUNNING,
    N_PENDING, FRESH, FRESH_BEFORE, USAGE_M, RING, HIGHEST, HIGHEST_AT, WINDOW_US,
    UP_PERCENT, REMEMBERED, AS_OF, LIMIT_M, CLASS, PARTITIONS, HEAD, EAGER,
    LAST_ACTIVE, SCALINGS, UP_US, DOWN_PERCENT, DOWN_US, RESCALED, COMMIT_US,
) = range(31)  # fmt: skip
GROUP_COLUMNS = 32  # four lines of the processor's cache
# Columns of what flows in it: RATE is messages a second of a consumer; USED is by one ready pod
# since the last scrape, thousandths of a core × µs; IDLE_US, what consumers have still to stand
# still because partitions move; LAG_HEAVY, what of the lag is in partitions of consumers that
# have one more than others; DONE_PER_US, how fast messages were worked off lately. Sums over time
# are for the result.
RATE, USED, LAG_NOW, LAG_MOST, POD_US, READY_US, IDLE_US, LAG_HEAVY, DONE_PER_US = range(9)
FLOW_COLUMNS = 9
# Columns of a pod: SINCE it came, or became ready; STAMP, how often its slot was used.
GROUP, STATE, SINCE, STAMP, NEXT, BEFORE = range(6)
POD_COLUMNS = 8  # a line of the processor's cache
# Numbers of the whole fleet. Two for each ring: where it begins, how many are in it. Three for
# those who look in turn: whose turn it is, when this round began, when the turn comes.
(
    NOW, START, FREE_TOP, QUEUE_AT, QUEUE_SIZE, PASS, LOGGED, EVENTS, NEXT_SCRAPE, NEXT_PLACE,
    CHURNED, LOOKS, LOOKS_FROM, NEXT_LOOK, POLLS, POLLS_FROM, NEXT_POLL, STEPS,
) = range(18)  # fmt: skip
NUMBERS = STEPS + 6

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _rule(function: Callable[_P, _R]) -> Callable[_P, _R]:
    return register_jitable(function)


def _inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    # Counting the references of a tuple's arrays takes longer than these rules do.
    return register_jitable(inline="always")(function)


def _compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    return cast(Callable[_P, _R], njit(cache=True)(function))


class Timings(NamedTuple):
    """How long things take, in microseconds; ``knot`` is from one number of a load to the next."""

    react: int
    create: int  # pull and start
    become_ready: int
    stop: int
    scrape: int
    sync: int
    poll: int
    cooldown: int
    rebalance: int
    knot: int


class Fleet(NamedTuple):
    """Everything that ``advance`` reads and writes, beside the scheduler's columns."""

    groups: Ints
    flows: Floats
    load: Floats  # by group and knot: thousandths of a core, or messages a second
    recommended: Ints  # by group, a ring of (replicas, when)
    rescales: Ints  # by group with policies, a ring of (change, when)
    pods: Ints
    node: Ints  # by pod
    free: Ints  # a stack of slots
    steps: Ints  # three rings of (when, pod, stamp)
    queue: Ints  # a ring of (pod, stamp): what waits to be placed
    churn: Ints  # (when, pod), in the order of time
    looks: Ints  # (phase, group), in the order of phase: HPAs
    polls: Ints  # the same: KEDA's scale loops
    failed: Ints  # by class: in which pass one did not fit
    on_node: Ints  # scratch: pods of a group on each node
    numbers: Ints
    log: Ints


# Lanes


@_inlined
def soon(f: Fleet, lane: int, when: int, pod: int) -> None:
    """The next step of a pod, after all that this lane has."""
    n, size = f.numbers, f.steps.shape[1]
    at = (n[STEPS + 2 * lane] + n[STEPS + 2 * lane + 1]) % size
    f.steps[lane, at, 0], f.steps[lane, at, 1] = when, pod
    f.steps[lane, at, 2] = f.pods[pod, STAMP]
    n[STEPS + 2 * lane + 1] += 1


@_inlined
def take_turn(n: Ints, turns: Ints, lane: int, period: int) -> int:
    """The group whose turn it is; each has one every ``period``. Division would take longer."""
    group = turns[n[lane], 1]
    n[lane] += 1
    if n[lane] == turns.shape[0]:
        n[lane] = 0
        n[lane + 1] += period
    n[lane + 2] = turns[n[lane], 0] + n[lane + 1]
    return int(group)


@_inlined
def first_lane(f: Fleet) -> tuple[int, int]:
    """Which lane is next, and when."""
    n, best, when = f.numbers, PLACE, f.numbers[NEXT_PLACE]
    for lane, at in (
        (POLL, n[NEXT_POLL]),
        (LOOK, n[NEXT_LOOK]),
        (SCRAPE, n[NEXT_SCRAPE]),
        (CHURN, f.churn[n[CHURNED], 0] if n[CHURNED] < f.churn.shape[0] else NEVER),
    ):
        if at <= when:
            best, when = lane, at
    for lane in (STOPPED, PROBED, STARTED):
        if n[STEPS + 2 * lane + 1]:
            at = f.steps[lane, n[STEPS + 2 * lane], 0]
            if at <= when:
                best, when = lane, at
    return best, when


# What HPA and KEDA decide


@_rule
def _holds(ratio: float) -> bool:
    return 0.9 <= ratio <= 1.1


@_rule
def by_cpu(
    usage_m: int,
    settled: int,
    missing: int,
    pending: int,
    request_m: int,
    target: int,
    replicas: int,
) -> int:
    """Replicas that a utilization asks for; −1 when there is no metric.

    ``_by_pods`` in ``simulator.autoscaling.replicas``, for pods that all use ``usage_m``.
    """
    if settled <= 0:
        return -1
    percent = settled * usage_m * 100 // (settled * request_m)
    ratio = percent / target
    if not (pending > 0 and ratio > 1.0) and missing == 0:
        if _holds(ratio):
            return replicas
        return math.ceil(ratio * settled)
    used, count = settled * usage_m, settled
    if missing > 0:
        if ratio < 1.0:
            used += missing * (request_m * max(100, target) // 100)
        if ratio != 1.0:
            count += missing
    if pending > 0 and ratio > 1.0:
        count += pending
    again = used * 100 // (count * request_m) / target
    if _holds(again) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return replicas
    wanted = math.ceil(again * count)
    if (again < 1.0 and wanted > replicas) or (again > 1.0 and wanted < replicas):
        return replicas
    return wanted


@_rule
def by_lag(lag: int, target: int, replicas: int) -> int:
    """Replicas that an average of lag asks for: ``_per_pod`` in the same module."""
    expected = float(target) * float(replicas)
    if replicas > 0 and _holds(lag / expected):
        return replicas
    return math.ceil(lag / target)


@_inlined
def stabilized(f: Fleet, group: int, wanted: int, now: int) -> int:
    """The most that was recommended within the window, this one included, which is remembered."""
    g, size, at = f.groups, f.recommended.shape[1], f.groups[group, RING]
    since = now - g[group, WINDOW_US]
    f.recommended[group, at, 0], f.recommended[group, at, 1] = wanted, now
    g[group, RING] += 1
    if g[group, RING] == size:
        g[group, RING] = 0
    if g[group, REMEMBERED] < size:
        g[group, REMEMBERED] += 1
    if wanted >= g[group, HIGHEST]:
        g[group, HIGHEST], g[group, HIGHEST_AT] = wanted, now
    elif g[group, HIGHEST_AT] < since:
        g[group, HIGHEST], g[group, HIGHEST_AT] = wanted, now
        for slot in range(g[group, REMEMBERED]):
            when = f.recommended[group, slot, 1]
            more = f.recommended[group, slot, 0] - g[group, HIGHEST]
            if when >= since and (more > 0 or (more == 0 and when > g[group, HIGHEST_AT])):
                g[group, HIGHEST], g[group, HIGHEST_AT] = f.recommended[group, slot, 0], when
    return int(g[group, HIGHEST])


@_rule
def limited(wanted: int, current: int, least: int, most: int) -> int:
    """``_within_plain_limits`` in ``simulator.autoscaling.behavior``."""
    return max(least, min(wanted, most, max(2 * current, 4)))


@_rule
def changed_since(g: Ints, rescales: Ints, group: int, since: int) -> int:
    """By how much an HPA has changed the replicas, all its changes together."""
    changed = 0
    for slot in range(min(g[group, RESCALED], rescales.shape[1])):
        if rescales[group, slot, 1] > since:
            changed += rescales[group, slot, 0]
    return changed


@_rule
def within_policies(
    g: Ints, rescales: Ints, group: int, wanted: int, current: int, least: int, now: int
) -> int:
    """``_within_policies`` there, for one policy of percent each way."""
    if wanted > current:
        at_start = current - changed_since(g, rescales, group, now - g[group, UP_US])
        most = math.ceil(at_start * (1 + g[group, UP_PERCENT] / 100))
        return int(min(wanted, g[group, MOST], max(current, most)))
    if wanted < current:
        at_start = current - changed_since(g, rescales, group, now - g[group, DOWN_US])
        fewest = int(at_start * (1 - g[group, DOWN_PERCENT] / 100))
        return int(max(wanted, least, min(current, fewest)))
    return wanted


@_inlined
def held_back(f: Fleet, group: int, wanted: int, current: int, now: int) -> int:
    """``normalize`` there: by windows, then by policies or the controller's own limits."""
    g = f.groups
    least, highest = max(1, g[group, LEAST]), stabilized(f, group, wanted, now)
    if g[group, UP_PERCENT] == 0:
        return limited(highest, current, least, g[group, MOST])
    if wanted < current:
        wanted = min(current, highest)
    return within_policies(g, f.rescales, group, wanted, current, least, now)


@_inlined
def remember_rescale(f: Fleet, group: int, change: int, now: int) -> None:
    """What policies will ask for."""
    at = f.groups[group, RESCALED] % f.rescales.shape[1]
    f.rescales[group, at, 0], f.rescales[group, at, 1] = change, now
    f.groups[group, RESCALED] += 1


# Flows


@_inlined
def load_at(load: Floats, group: int, at: int, knot: int) -> float:
    """The load of a group, linear between knots."""
    before, last = at // knot, load.shape[1] - 1
    if before >= last:
        return float(load[group, last])
    share = (at - before * knot) / knot
    return float(load[group, before] + (load[group, before + 1] - load[group, before]) * share)


@_rule
def heavy_consumers(partitions: int, consumers: int) -> int:
    """How many of them have one partition more than the others."""
    return partitions % consumers if consumers < partitions else 0


@_rule
def heavy_share(partitions: int, consumers: int) -> float:
    """The share of all partitions that these have."""
    if consumers == 0 or consumers >= partitions:
        return 0.0
    more = partitions // consumers + 1
    return heavy_consumers(partitions, consumers) * more / partitions


@_rule
def consume(g: Ints, flows: Floats, group: int, ready: int, produced: float, span: int) -> None:
    """Messages come, evenly over partitions, and consumers work off those of their own."""
    partitions = g[group, PARTITIONS]
    consumers = min(ready, partitions)
    working = float(consumers * span)
    idle = min(working, flows[group, IDLE_US])
    flows[group, IDLE_US] -= idle
    done = flows[group, RATE] * (working - idle) / SECOND_US
    heavy_lag, light_lag = flows[group, LAG_HEAVY], flows[group, LAG_NOW] - flows[group, LAG_HEAVY]
    if consumers > 0:
        share, part = heavy_share(partitions, consumers), heavy_consumers(partitions, consumers)
        heavy_lag = max(0.0, heavy_lag + share * produced - done * part / consumers)
        light_lag += (1.0 - share) * produced - done * (consumers - part) / consumers
        light_lag = max(0.0, light_lag)
    else:
        light_lag += produced
    before = flows[group, LAG_NOW]
    flows[group, LAG_NOW], flows[group, LAG_HEAVY] = heavy_lag + light_lag, heavy_lag
    flows[group, DONE_PER_US] = (before + produced - flows[group, LAG_NOW]) / span
    flows[group, LAG_MOST] = max(flows[group, LAG_MOST], flows[group, LAG_NOW])


@_inlined
def seen_lag(f: Fleet, group: int) -> int:
    """The lag by committed offsets: on the mean, those are half of a commit's interval old."""
    flows = f.flows
    done = flows[group, DONE_PER_US] * f.groups[group, COMMIT_US] / 2
    return int(flows[group, LAG_NOW] + done)


def _flow(f: Fleet, t: Timings, group: int, now: int) -> None:
    """Brings what flows in a group to the present, from knot to knot."""
    g, flows, begin = f.groups, f.flows, f.groups[group, AS_OF]
    if now <= begin:
        return
    g[group, AS_OF] = now
    ready = g[group, N_READY]
    pods = ready + g[group, N_RUNNING] + g[group, N_PENDING]
    flows[group, POD_US] += (now - begin) * pods
    flows[group, READY_US] += (now - begin) * ready
    kind = g[group, KIND]
    if kind == FIXED or (kind == CPU and ready == 0):
        return
    while begin < now:
        end = min(now, (begin // t.knot + 1) * t.knot)
        span = end - begin
        mean = (load_at(f.load, group, begin, t.knot) + load_at(f.load, group, end, t.knot)) / 2
        if kind == CPU:
            flows[group, USED] += min(mean / ready, float(g[group, LIMIT_M])) * span
        else:
            consume(g, flows, group, ready, mean * span / SECOND_US, span)
        begin = end


flow, _flow_inlined = _rule(_flow), _inlined(_flow)  # inlined where it is called most


@_rule
def rebalance(f: Fleet, t: Timings, group: int) -> None:
    """A consumer has come or gone. Eagerly all stand still, otherwise one's share of partitions."""
    flows, partitions = f.flows, f.groups[group, PARTITIONS]
    working = min(f.groups[group, N_READY], partitions)
    flows[group, LAG_HEAVY] = flows[group, LAG_NOW] * heavy_share(partitions, working)
    if f.groups[group, EAGER]:
        flows[group, IDLE_US] = max(flows[group, IDLE_US], float(working * t.rebalance))
    else:
        flows[group, IDLE_US] += t.rebalance


# Pods


@_inlined
def tell(f: Fleet, now: int, what: int, group: int, pod: int, node: int, value: int) -> None:
    """A line of the log."""
    log, row = f.log, f.numbers[LOGGED]
    log[row, 0], log[row, 1], log[row, 2] = now, what, group
    log[row, 3], log[row, 4], log[row, 5] = pod, node, value
    f.numbers[LOGGED] += 1


@_inlined
def place_soon(f: Fleet, now: int, react: int) -> None:
    """The scheduler looks at what waits after its reaction."""
    if f.numbers[QUEUE_SIZE]:
        f.numbers[NEXT_PLACE] = min(f.numbers[NEXT_PLACE], now + react)


@_rule
def create(f: Fleet, t: Timings, group: int, now: int) -> None:
    """A new pod, which waits for a node."""
    g, p, n = f.groups, f.pods, f.numbers
    if n[FREE_TOP] == 0:
        raise RuntimeError("more pods at once than slots: give FleetSpec.pods_most")
    n[FREE_TOP] -= 1
    pod, head = f.free[n[FREE_TOP]], g[group, HEAD]
    p[pod, GROUP], p[pod, STATE], p[pod, SINCE], f.node[pod] = group, WAITING, now, -1
    p[pod, BEFORE], p[pod, NEXT] = -1, head
    if head >= 0:
        p[head, BEFORE] = pod
    g[group, HEAD] = pod
    g[group, N_PENDING] += 1
    at = (n[QUEUE_AT] + n[QUEUE_SIZE]) % f.queue.shape[0]
    f.queue[at, 0], f.queue[at, 1] = pod, p[pod, STAMP]
    n[QUEUE_SIZE] += 1
    place_soon(f, now, 2 * t.react)


@_rule
def uncount(f: Fleet, t: Timings, pod: int, now: int) -> None:
    """A pod does not count for its group any more."""
    g, p = f.groups, f.pods
    group, state = p[pod, GROUP], p[pod, STATE]
    flow(f, t, group, now)
    if state == READY:
        g[group, N_READY] -= 1
        scraped = now // t.scrape * t.scrape
        if p[pod, SINCE] > scraped:
            g[group, FRESH] -= 1
        elif p[pod, SINCE] > scraped - t.scrape:
            g[group, FRESH_BEFORE] -= 1
        rebalance(f, t, group)
    elif state == RUNNING:
        g[group, N_RUNNING] -= 1
    else:
        g[group, N_PENDING] -= 1
    before, after = p[pod, BEFORE], p[pod, NEXT]
    if before >= 0:
        p[before, NEXT] = after
    else:
        g[group, HEAD] = after
    if after >= 0:
        p[after, BEFORE] = before


@_rule
def give_back(f: Fleet, pod: int) -> None:
    """The slot of a pod is free again."""
    f.pods[pod, STATE], f.node[pod] = FREE, -1
    f.pods[pod, STAMP] += 1
    f.free[f.numbers[FREE_TOP]] = pod
    f.numbers[FREE_TOP] += 1


@_rule
def delete(f: Fleet, c: Columns, t: Timings, pod: int, now: int) -> None:
    """A pod is told to go: it counts no more, and leaves its node after its stop."""
    p = f.pods
    group, node = p[pod, GROUP], f.node[pod]
    tell(f, now, DELETED, group, pod, node, 0)
    uncount(f, t, pod, now)
    if node < 0:
        give_back(f, pod)
        return
    kind = f.groups[group, CLASS]
    p[pod, STATE] = LEAVING
    # As ``ColumnarCluster.mark_leaving``: it keeps its room, and others need not mind it.
    c.leaving[kind, node] += 1
    count_effects(c, kind, node, -1, WEIGHT, False)
    count_effects(c, kind, node, 1, WEIGHT, True)
    soon(f, STOPPED, now + t.stop, pod)


@_rule
def started(f: Fleet, t: Timings, pod: int, now: int) -> None:
    """A pod runs; it is ready when its probe says so."""
    group = f.pods[pod, GROUP]
    flow(f, t, group, now)
    f.groups[group, N_PENDING] -= 1
    f.groups[group, N_RUNNING] += 1
    f.pods[pod, STATE] = RUNNING
    soon(f, PROBED, now + t.become_ready, pod)


@_rule
def probed(f: Fleet, t: Timings, pod: int, now: int) -> None:
    """A pod is ready; consumers share their partitions anew."""
    g, p, group = f.groups, f.pods, f.pods[pod, GROUP]
    flow(f, t, group, now)
    g[group, N_RUNNING] -= 1
    g[group, N_READY] += 1
    g[group, FRESH] += 1
    rebalance(f, t, group)
    p[pod, STATE], p[pod, SINCE] = READY, now
    tell(f, now, BECAME_READY, group, pod, f.node[pod], g[group, N_READY])


@_rule
def stopped(f: Fleet, c: Columns, t: Timings, pod: int, now: int) -> None:
    """A pod has left its node."""
    group, node = f.pods[pod, GROUP], f.node[pod]
    kind = f.groups[group, CLASS]
    c.bound[kind, node] -= 1
    c.leaving[kind, node] -= 1
    count_pod(c, kind, node, -1, WEIGHT, True)
    tell(f, now, GONE, group, pod, node, 0)
    give_back(f, pod)
    place_soon(f, now, t.react)


@_rule
def first_to_go(f: Fleet, group: int) -> int:
    """Which pod a ReplicaSet dispenses with first (``pods_to_delete``).

    One that is not placed, not running, not ready; then of those that share a node with most
    others, the one that is ready for the shortest time. Here ages are not taken by powers of two.
    """
    p, best = f.pods, -1
    pod = f.groups[group, HEAD]
    while pod >= 0:
        if best < 0:
            best = pod
        elif p[pod, STATE] != p[best, STATE]:
            if p[pod, STATE] < p[best, STATE]:
                best = pod
        else:
            mine = f.on_node[f.node[pod]] if f.node[pod] >= 0 else 0
            other = f.on_node[f.node[best]] if f.node[best] >= 0 else 0
            if mine > other or (mine == other and p[pod, SINCE] > p[best, SINCE]):
                best = pod
        pod = p[pod, NEXT]
    return best


@_rule
def _count_by_node(f: Fleet, group: int, forget: bool) -> None:
    pod = f.groups[group, HEAD]
    while pod >= 0:
        node = f.node[pod]
        if node >= 0:
            f.on_node[node] = 0 if forget else f.on_node[node] + 1
        pod = f.pods[pod, NEXT]


@_rule
def scale(f: Fleet, c: Columns, t: Timings, group: int, replicas: int, now: int) -> None:
    """Writes the replicas of a group; its ReplicaSet follows."""
    g = f.groups
    flow(f, t, group, now)
    more = replicas - g[group, DESIRED]
    g[group, DESIRED] = replicas
    g[group, SCALINGS] += 1
    tell(f, now, SCALED, group, -1, -1, replicas)
    for _ in range(more):
        create(f, t, group, now)
    if more >= 0:
        return
    _count_by_node(f, group, False)
    for _ in range(-more):
        pod = first_to_go(f, group)
        if pod < 0:
            break
        if f.node[pod] >= 0:
            f.on_node[f.node[pod]] -= 1
        delete(f, c, t, pod, now)
    _count_by_node(f, group, True)


@_rule
def place(f: Fleet, c: Columns, t: Timings, order: Ints, wanted: int, now: int) -> None:
    """The scheduler's pass over what waits; of a class that does not fit, one is tried."""
    p, n = f.pods, f.numbers
    n[NEXT_PLACE] = NEVER
    n[PASS] += 1
    for _ in range(n[QUEUE_SIZE]):
        at = n[QUEUE_AT]
        pod, stamp = f.queue[at, 0], f.queue[at, 1]
        n[QUEUE_AT] = (at + 1) % f.queue.shape[0]
        n[QUEUE_SIZE] -= 1
        if p[pod, STAMP] != stamp or p[pod, STATE] != WAITING:
            continue
        group = p[pod, GROUP]
        kind = f.groups[group, CLASS]
        node = -1
        if f.failed[kind] != n[PASS]:
            start = n[START] % max(1, len(order))
            node, looked_at, _ = decide(c, kind, order, start, wanted, -1)
            n[START] = (start + looked_at) % max(1, len(order))
        if node < 0:
            f.failed[kind] = n[PASS]
            at = (n[QUEUE_AT] + n[QUEUE_SIZE]) % f.queue.shape[0]
            f.queue[at, 0], f.queue[at, 1] = pod, stamp
            n[QUEUE_SIZE] += 1
            continue
        bind(c, kind, node)
        f.node[pod], p[pod, STATE] = node, CREATING
        tell(f, now, BOUND, group, pod, node, 0)
        soon(f, STARTED, now + t.create, pod)


# Autoscalers


@_rule
def scrape(f: Fleet, t: Timings, now: int) -> None:
    """metrics-server's look: what each pod used since the last one."""
    g = f.groups
    for group in range(g.shape[0]):
        if g[group, KIND] != CPU:
            continue
        _flow_inlined(f, t, group, now)
        g[group, USAGE_M] = round(f.flows[group, USED] / t.scrape)
        f.flows[group, USED] = 0.0
        g[group, FRESH_BEFORE], g[group, FRESH] = g[group, FRESH], 0


@_inlined
def looked(f: Fleet, t: Timings, group: int, now: int) -> int:
    """One look of an HPA: the replicas it wants."""
    g = f.groups
    current, most = g[group, DESIRED], g[group, MOST]
    if current == 0:
        return 0
    least = max(1, g[group, LEAST])
    if g[group, REMEMBERED] == 0:
        stabilized(f, group, current, now)
    if current > most or current < least:
        return int(min(max(current, least), most))
    if g[group, KIND] == CPU:
        if g[group, USAGE_M] < 0:
            return int(current)
        fresh = g[group, FRESH] + g[group, FRESH_BEFORE]
        wanted = by_cpu(
            g[group, USAGE_M], g[group, N_READY] - fresh, fresh + g[group, N_RUNNING],
            g[group, N_PENDING], g[group, REQUEST_M], g[group, TARGET], current,
        )  # fmt: skip
        if wanted < 0:
            return int(current)
    else:
        _flow_inlined(f, t, group, now)
        there = g[group, N_READY] + g[group, N_RUNNING] + g[group, N_PENDING]
        lag = min(seen_lag(f, group), g[group, PARTITIONS] * g[group, TARGET])
        wanted = by_lag(lag, g[group, TARGET], there)
    return held_back(f, group, wanted, current, now)


@_rule
def polled(f: Fleet, t: Timings, group: int, now: int) -> int:
    """One look of KEDA's scale loop, from and to zero: the replicas it wants."""
    g = f.groups
    flow(f, t, group, now)
    current, least = g[group, DESIRED], g[group, LEAST]
    if seen_lag(f, group) > 0:
        g[group, LAST_ACTIVE] = now // SECOND_US * SECOND_US
        return int(current) if current > 0 else int(max(1, least))
    last = g[group, LAST_ACTIVE]
    if current > 0 and least == 0 and (last < 0 or last + t.cooldown < now):
        return 0
    return int(current)


@_compiled
def advance(
    f: Fleet, c: Columns, t: Timings, order: Ints, wanted: int, until: int, room: int
) -> bool:
    """Goes on until a point in time, excluded; False when the log has no ``room`` before."""
    n, groups = f.numbers, f.groups
    while True:
        lane, now = first_lane(f)
        if now >= until:
            n[NOW] = until
            return True
        if n[LOGGED] + room > f.log.shape[0]:
            return False
        n[NOW] = now
        n[EVENTS] += 1
        if lane <= STOPPED:
            at = n[STEPS + 2 * lane]
            pod, stamp = f.steps[lane, at, 1], f.steps[lane, at, 2]
            n[STEPS + 2 * lane] = (at + 1) % f.steps.shape[1]
            n[STEPS + 2 * lane + 1] -= 1
            state = f.pods[pod, STATE]
            if f.pods[pod, STAMP] != stamp:
                continue
            if lane == STARTED and state == CREATING:
                started(f, t, pod, now)
            elif lane == PROBED and state == RUNNING:
                probed(f, t, pod, now)
            elif lane == STOPPED:
                stopped(f, c, t, pod, now)
        elif lane == LOOK:
            group = take_turn(n, f.looks, LOOKS, t.sync)
            replicas = looked(f, t, group, now)
            if replicas != groups[group, DESIRED]:
                remember_rescale(f, group, replicas - groups[group, DESIRED], now)
                scale(f, c, t, group, replicas, now)
        elif lane == POLL:
            group = take_turn(n, f.polls, POLLS, t.poll)
            replicas = polled(f, t, group, now)
            if replicas != groups[group, DESIRED]:
                scale(f, c, t, group, replicas, now)
        elif lane == SCRAPE:
            scrape(f, t, now)
            n[NEXT_SCRAPE] = now + t.scrape
        elif lane == CHURN:
            pod = f.churn[n[CHURNED], 1]
            n[CHURNED] += 1
            if f.pods[pod, STATE] not in (FREE, LEAVING):
                group = f.pods[pod, GROUP]
                delete(f, c, t, pod, now)
                create(f, t, group, now)
        else:
            place(f, c, t, order, wanted, now)


@_compiled
def take_out(f: Fleet, c: Columns, t: Timings, pods: Ints, now: int, spare: bool) -> int:
    """Pods leave a node that is to go; how many stay. ``spare``: as far as budgets allow.

    A budget lets one pod in four of a group be away, as our own do. What is not spared dies with
    the node, whose columns are the caller's to clear.
    """
    g, p, stay = f.groups, f.pods, 0
    for pod in pods:
        group, state = p[pod, GROUP], p[pod, STATE]
        if not spare:
            tell(f, now, GONE, group, pod, f.node[pod], 1)
            if state != LEAVING:
                uncount(f, t, pod, now)
                create(f, t, group, now)
            give_back(f, pod)
        elif state != LEAVING:
            desired = g[group, DESIRED]
            away = desired - g[group, N_READY]
            if state == READY and away + 1 > max(1, desired // 4):
                stay += 1
                continue
            delete(f, c, t, pod, now)
            create(f, t, group, now)
    return stay


@_compiled
def begin(f: Fleet, t: Timings) -> None:
    """All pods that are wanted come."""
    for group in range(f.groups.shape[0]):
        for _ in range(f.groups[group, DESIRED]):
            create(f, t, group, 0)


@_compiled
def finish(f: Fleet, t: Timings, now: int) -> None:
    """Brings all flows to the present."""
    for group in range(f.groups.shape[0]):
        flow(f, t, group, now)
