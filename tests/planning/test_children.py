from __future__ import annotations

import pytest

from prism_operator.api.meta import DEPLOYMENT, SERVICE, Json, ref_of
from prism_operator.planning.children import Children, finished, plan_children
from prism_operator.planning.observed import FrozenSnapshot
from prism_operator.planning.plan import Apply, Create, Delete

from .builders import a_stack, an_object, owned

OWNER = a_stack()
KINDS = frozenset({DEPLOYMENT, SERVICE})


def wanted(name: str = "web", **spec: object) -> Json:
    obj = an_object("v1", "Service", name, spec={"type": "ClusterIP", **spec})
    for field in ("uid", "resourceVersion"):
        del obj["metadata"][field]
    return finished(obj, OWNER)


def stored(desired: Json, **metadata: object) -> Json:
    """What the server made of a desired object."""
    more = {"uid": "uid-1", "resourceVersion": "7", **metadata}
    return {**desired, "metadata": {**desired["metadata"], **more}, "status": {}}


def plan(desired: list[Json], *live: Json) -> Children:
    return plan_children(OWNER, desired, FrozenSnapshot([OWNER, *live]), kinds=KINDS)


def test_an_absent_object_is_created() -> None:
    children = plan([wanted()])

    assert [type(write) for write in children.writes] == [Create]
    assert children.unsettled == {ref_of(wanted())}


def test_an_object_as_wanted_is_left_alone() -> None:
    assert plan([wanted()], stored(wanted())) == Children()


def test_a_changed_field_is_put_back_on_the_observed_uid() -> None:
    live = stored(wanted())
    live["spec"] = {"type": "NodePort"}

    children = plan([wanted()], live)

    (write,) = children.writes
    assert isinstance(write, Apply)
    assert (write.uid, write.obj, write.live) == ("uid-1", wanted(), live)
    assert write.reason == "spec.type is not as wanted"
    assert children.repairs == ("spec.type of Service web had been changed",)


def test_a_field_that_left_the_spec_is_noticed_though_nothing_else_differs() -> None:
    before = stored(wanted(clusterIP="None"))

    (write,) = plan([wanted()], before).writes

    assert isinstance(write, Apply)
    assert write.reason == "what is wanted of it has changed"


def test_a_lost_label_is_put_back_without_unsettling_the_object() -> None:
    labelled = finished(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"a": "1"}}},
        OWNER,
    )
    live = stored(labelled, labels={})

    children = plan([labelled], live)

    assert len(children.writes) == 1
    assert children.unsettled == frozenset()


def test_what_nothing_asks_for_is_deleted_with_uid_and_resource_version() -> None:
    children = plan([], stored(wanted()))

    (write,) = children.writes
    assert isinstance(write, Delete)
    assert (write.uid, write.resource_version) == ("uid-1", "7")


def test_only_kinds_that_we_make_are_deleted() -> None:
    ours_of_another_kind = owned(an_object("v1", "ConfigMap", "web"), OWNER)

    assert plan([], ours_of_another_kind) == Children()


def test_what_is_kept_is_neither_written_nor_deleted() -> None:
    live = stored(wanted(port=1))

    children = plan_children(
        OWNER, [], FrozenSnapshot([live]), kinds=KINDS, kept=[ref_of(wanted())]
    )

    assert children == Children()


def test_an_object_on_its_way_out_is_neither_deleted_again_nor_recreated_before_it_is_gone() -> (
    None
):
    leaving = stored(wanted(), deletionTimestamp="2026-01-01T00:00:00Z")

    assert plan([], leaving).writes == ()
    assert plan([wanted()], leaving).writes == ()
    assert plan([wanted()], leaving).unsettled == {ref_of(wanted())}


def test_a_foreign_object_is_untouched_and_said() -> None:
    foreign = an_object("v1", "Service", "web", spec={"type": "NodePort"})

    children = plan([wanted()], foreign)

    assert children.writes == ()
    (told,) = children.conflicts
    assert told.startswith("Service prism-system/web exists and is not ours")
    assert 'prism.io/adopt: "true"' in told


def test_an_object_of_another_controller_is_foreign_even_when_offered() -> None:
    other = a_stack("other")
    foreign = owned(
        an_object("v1", "Service", "web", metadata={"annotations": {"prism.io/adopt": "true"}}),
        other,
    )

    children = plan([wanted()], foreign, other)

    assert children.writes == ()
    assert children.conflicts == (
        "Service prism-system/web belongs to PrismStack other: rename one of the two",
    )


@pytest.mark.parametrize("successor", [None, a_stack("other", metadata={"uid": "another"})])
def test_what_a_deleted_stack_left_behind_is_waited_for(successor: Json | None) -> None:
    left = owned(an_object("v1", "Service", "web"), a_stack("other"))

    children = plan([wanted()], left, *([successor] if successor else []))

    assert (children.writes, children.conflicts) == ((), ())
    assert children.unsettled == {ref_of(left)}


def test_a_foreign_object_that_is_handed_over_gets_our_owner_reference() -> None:
    foreign = an_object(
        "v1", "Service", "web", metadata={"annotations": {"prism.io/adopt": "true"}}
    )

    (write,) = plan([wanted()], foreign).writes

    assert isinstance(write, Apply)
    assert write.obj["metadata"]["ownerReferences"][0]["uid"] == OWNER["metadata"]["uid"]


def test_a_desired_object_holds_no_null() -> None:
    obj = an_object("v1", "Service", "web", spec={"a": None, "b": [{"c": None}], "d": {"e": None}})

    assert finished(obj, OWNER)["spec"] == {"b": [{}], "d": {}}
