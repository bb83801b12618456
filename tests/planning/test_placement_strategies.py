"""Every strategy: the user sets nothing, a part, or all of what it would add."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism_operator.api.common import Strategy
from prism_operator.api.meta import Json
from prism_operator.planning.placement_strategies import (
    SPOT_LABELS,
    BackendPods,
    Subject,
    apply_strategy,
)

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
LABELS = {"component": "prism-proxy", "stack": "demo", "app": "prism-proxy"}
SELECTOR = {"component": "prism-proxy", "stack": "demo"}
OTHERS = {"matchLabels": {"component": "prism-admin"}}
SUBJECT = Subject("prism-proxy", SELECTOR, LABELS, (BackendPods("redis", "data"),), OTHERS)
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def ours(topology: str, unsatisfiable: str) -> Json:
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": unsatisfiable,
        "labelSelector": {"matchLabels": SELECTOR},
        "matchLabelKeys": ["pod-template-hash"],
    }


def users(topology: str) -> Json:
    return {"maxSkew": 2, "topologyKey": topology, "whenUnsatisfiable": "ScheduleAnyway"}


def spreads(*constraints: Json) -> Json:
    return {"topologySpreadConstraints": list(constraints)}


def preferred(side: str, *terms: tuple[int, Json]) -> Json:
    weighted = [{"weight": weight, "podAffinityTerm": term} for weight, term in terms]
    return {"affinity": {side: {"preferredDuringSchedulingIgnoredDuringExecution": weighted}}}


def required(side: str, *terms: Json) -> Json:
    return {"affinity": {side: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}}


def term(topology: str, **labels: str) -> Json:
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": topology}


def near(topology: str) -> Json:
    return {**term(topology, app="redis"), "namespaces": ["data"]}


ITSELF = term(HOSTNAME, **SELECTOR)
DEDICATED = {
    "key": "dedicated",
    "operator": "Equal",
    "value": "prism-proxy",
    "effect": "NoSchedule",
}
MINE = {"key": "mine", "operator": "Exists"}
APART = {"labelSelector": OTHERS, "topologyKey": HOSTNAME}

CASES: dict[str, tuple[Strategy, Json, Json]] = {
    "MultiZone, nothing": (
        "MultiZone",
        {},
        spreads(ours(ZONE, "DoNotSchedule"), ours(HOSTNAME, "ScheduleAnyway")),
    ),
    "MultiZone, part": (
        "MultiZone",
        spreads(users(ZONE)),
        spreads(users(ZONE), ours(HOSTNAME, "ScheduleAnyway")),
    ),
    "MultiZone, all": (
        "MultiZone",
        spreads(users(HOSTNAME), users(ZONE)),
        spreads(users(HOSTNAME), users(ZONE)),
    ),
    "MultiRegion, nothing": (
        "MultiRegion",
        {},
        spreads(ours(REGION, "DoNotSchedule"), ours(ZONE, "ScheduleAnyway")),
    ),
    "MultiRegion, part": (
        "MultiRegion",
        spreads(users(ZONE)),
        spreads(users(ZONE), ours(REGION, "DoNotSchedule")),
    ),
    "MultiRegion, all": (
        "MultiRegion",
        spreads(users(REGION), users(ZONE)),
        spreads(users(REGION), users(ZONE)),
    ),
    "DedicatedNodes, nothing": (
        "DedicatedNodes",
        {},
        {"tolerations": [DEDICATED], **preferred("podAntiAffinity", (100, ITSELF))},
    ),
    "DedicatedNodes, a toleration": (
        "DedicatedNodes",
        {"tolerations": [MINE]},
        {"tolerations": [MINE], **preferred("podAntiAffinity", (100, ITSELF))},
    ),
    "DedicatedNodes, all": (
        "DedicatedNodes",
        {"tolerations": [MINE], **required("podAntiAffinity", term(HOSTNAME, a="b"))},
        {"tolerations": [MINE], **required("podAntiAffinity", term(HOSTNAME, a="b"))},
    ),
    "BackendProximity, nothing": (
        "BackendProximity",
        {},
        preferred("podAffinity", (100, near(HOSTNAME)), (50, near(ZONE))),
    ),
    "BackendProximity, part": (
        "BackendProximity",
        preferred("podAffinity", (7, term(HOSTNAME, app="mine"))),
        preferred("podAffinity", (7, term(HOSTNAME, app="mine")), (50, near(ZONE))),
    ),
    "BackendProximity, all": (
        "BackendProximity",
        required("podAffinity", term(HOSTNAME, a="b"), term(ZONE, a="b")),
        required("podAffinity", term(HOSTNAME, a="b"), term(ZONE, a="b")),
    ),
    "ControlPlaneIsolation, nothing": (
        "ControlPlaneIsolation",
        {},
        required("podAntiAffinity", APART),
    ),
    "ControlPlaneIsolation, part": (
        "ControlPlaneIsolation",
        required("podAntiAffinity", ITSELF),
        required("podAntiAffinity", ITSELF, APART),
    ),
    "ControlPlaneIsolation, all": (
        "ControlPlaneIsolation",
        required("podAntiAffinity", APART),
        required("podAntiAffinity", APART),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_strategy_adds_what_the_user_has_not_set(case: str) -> None:
    strategy, given_fields, expected = CASES[case]

    assert apply_strategy(strategy, given_fields, SUBJECT) == expected


def tolerated(fields: Json) -> dict[Any, Any]:
    return {t.get("key"): t.get("value") for t in fields.get("tolerations", ())}


def preferred_labels(fields: Json) -> dict[str, str]:
    section = fields.get("affinity", {}).get("nodeAffinity", {})
    return {
        requirement["key"]: requirement["values"][0]
        for weighted in section.get("preferredDuringSchedulingIgnoredDuringExecution", ())
        for requirement in weighted["preference"]["matchExpressions"]
    }


def test_spot_tolerates_and_prefers_every_mark_of_spot_nodes_and_spreads_by_zone() -> None:
    fields = apply_strategy("Spot", {}, SUBJECT)

    assert tolerated(fields) == preferred_labels(fields) == SPOT_LABELS
    assert fields["topologySpreadConstraints"] == [ours(ZONE, "ScheduleAnyway")]


def test_spot_leaves_the_marks_alone_that_the_user_speaks_of() -> None:
    toleration = {"key": "node-lifecycle", "operator": "Exists"}
    given_fields: Json = {
        "nodeSelector": {"node-lifecycle": "spot"},
        "tolerations": [toleration],
        **spreads(users(ZONE)),
    }

    fields = apply_strategy("Spot", given_fields, SUBJECT)

    assert fields["tolerations"][0] == toleration
    assert len(fields["tolerations"]) == len(SPOT_LABELS)
    assert preferred_labels(fields).keys() == SPOT_LABELS.keys() - {"node-lifecycle"}
    assert fields["topologySpreadConstraints"] == [users(ZONE)]


def test_spot_adds_nothing_to_a_toleration_of_everything() -> None:
    everything = {"tolerations": [{"operator": "Exists"}]}

    assert apply_strategy("Spot", everything, SUBJECT)["tolerations"] == everything["tolerations"]


@pytest.mark.parametrize("repelled", [SELECTOR, {"app": "prism-proxy"}])
def test_pods_that_are_replaced_in_place_count_with_the_old_ones(repelled: dict[str, str]) -> None:
    apart = required("podAntiAffinity", term(HOSTNAME, **repelled))

    fields = apply_strategy("MultiZone", apart, SUBJECT)

    in_zones, on_nodes = fields["topologySpreadConstraints"]
    assert "matchLabelKeys" not in in_zones
    assert on_nodes == ours(HOSTNAME, "ScheduleAnyway")


def test_without_backend_or_other_side_nothing_is_added() -> None:
    alone = Subject("prism-proxy", SELECTOR, LABELS)

    assert apply_strategy("BackendProximity", {}, alone) == {}
    assert apply_strategy("ControlPlaneIsolation", {}, alone) == {}
    assert apply_strategy(None, {"nodeName": "n"}, alone) == {"nodeName": "n"}


entries = st.fixed_dictionaries(
    {},
    optional={
        "nodeSelector": st.just({"node-lifecycle": "spot"}),
        "tolerations": st.lists(st.sampled_from([MINE, DEDICATED]), min_size=1, max_size=2),
        "topologySpreadConstraints": st.lists(
            st.sampled_from([users(HOSTNAME), users(ZONE), users(REGION)]), min_size=1, max_size=2
        ),
        "affinity": st.sampled_from(
            [
                required("podAntiAffinity", ITSELF)["affinity"],
                preferred("podAffinity", (1, term(ZONE, app="x")))["affinity"],
                preferred("podAntiAffinity", (1, term(HOSTNAME, app="x")))["affinity"],
            ]
        ),
    },
)


def _holds(whole: Any, part: Any) -> bool:
    """Whether all of ``part`` is in ``whole``, lists with what was added at their ends."""
    if isinstance(part, dict):
        return all(key in whole and _holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return bool(whole[: len(part)] == part)
    return bool(whole == part)


@given(st.sampled_from(STRATEGIES), entries)
def test_no_strategy_changes_what_the_user_set_and_twice_is_once(
    strategy: Strategy, fields: Json
) -> None:
    once = apply_strategy(strategy, fields, SUBJECT)

    assert _holds(once, fields)
    assert apply_strategy(strategy, once, SUBJECT) == once
