"""Lists, page by page."""

from __future__ import annotations

import pytest

from prism_operator.adapters.connection import connect
from prism_operator.api.meta import CONFIG_MAP, LEASE, NODE, SERVICE, Ref
from prism_operator.ports import Failed, Listed, Ok, Reason

from .builders import a_config_map, a_status
from .server import Answer, write_kubeconfig

EXPIRED = Answer(a_status(410, "Expired", "the continue token is too old"), 410)


def a_page(*names, following="", version="9"):
    items = [{"metadata": {"name": name, "namespace": "default"}} for name in names]
    meta = {"resourceVersion": version, **({"continue": following} if following else {})}
    return Answer({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": meta, "items": items})


def names(listed):
    assert isinstance(listed, Listed), listed
    return [item["metadata"]["name"] for item in listed.items]


def test_a_list_goes_through_all_pages_and_is_sorted(serve, connect_to):
    server = serve(a_page("c", following="p2"), a_page("a", following="p3"), a_page("b"))

    listed = connect_to(server).reader().list(CONFIG_MAP)

    assert names(listed) == ["a", "b", "c"]
    assert listed.resource_version == "9"
    assert [r.query for r in server.received] == [
        {"limit": "100"},
        {"limit": "100", "continue": "p2"},
        {"limit": "100", "continue": "p3"},
    ]


def test_every_item_carries_kind_and_version_although_the_server_leaves_them_out(serve, connect_to):
    listed = connect_to(serve(a_page("a"))).reader().list(CONFIG_MAP)

    assert listed.items == (a_config_map("a"),)


def test_a_token_that_expires_in_the_middle_makes_the_list_start_over(serve, connect_to):
    server = serve(a_page("a", following="p2"), EXPIRED, a_page("a", following="q2"), a_page("b"))

    assert names(connect_to(server).reader().list(CONFIG_MAP)) == ["a", "b"]


def test_when_tokens_keep_expiring_everything_is_asked_for_at_once(serve, connect_to):
    server = serve(*[a_page("a", following="p2"), EXPIRED] * 3, a_page("a", "b"))

    assert names(connect_to(server).reader().list(CONFIG_MAP)) == ["a", "b"]
    assert server.received[-1].query == {}


def test_a_failure_in_the_middle_is_the_outcome(serve, connect_to):
    forbidden = Answer(a_status(403, "Forbidden", "no"), 403)

    listed = connect_to(serve(a_page("a", following="p2"), forbidden)).reader().list(CONFIG_MAP)

    assert listed == Failed(Reason.FORBIDDEN, "no")


@pytest.mark.parametrize(
    "body", [{}, {"items": []}, {"items": [3]}, {"items": [{}], "metadata": {}}]
)
def test_an_answer_that_is_no_list_is_told(serve, connect_to, body):
    listed = connect_to(serve(Answer(body))).reader().list(CONFIG_MAP)

    assert listed == Failed(Reason.TRANSIENT, "GET /api/v1/configmaps: the answer is no list")


def test_an_empty_list_may_be_null(serve, connect_to):
    server = serve(Answer({"items": None, "metadata": {"resourceVersion": "1"}}))

    assert connect_to(server).reader().list(CONFIG_MAP) == Listed((), "1")


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (Ref(CONFIG_MAP, "default", "a"), "/api/v1/namespaces/default/configmaps/a"),
        (Ref(NODE, "", "n"), "/api/v1/nodes/n"),
        (Ref(LEASE, "x", "l"), "/apis/coordination.k8s.io/v1/namespaces/x/leases/l"),
    ],
)
def test_get_asks_for_one_object(serve, connect_to, ref, path):
    server = serve(Answer(a_config_map()))

    assert connect_to(server).reader().get(ref) == Ok(a_config_map())
    assert server.received[0].path == path


@pytest.mark.parametrize("name", ["../secrets/s", "a/b", "..", ".", "a%2fb"])
def test_a_name_cannot_lead_to_another_resource(serve, connect_to, name):
    server = serve()

    outcome = connect_to(server).reader().get(Ref(SERVICE, "default", name))

    assert outcome == Failed(Reason.INVALID, f'Service: "{name}" cannot be a name')
    assert server.received == []


def test_other_odd_characters_stay_in_the_name(serve, connect_to):
    server = serve(Answer(a_status(404, "NotFound", name="a?b"), 404))

    connect_to(server).reader().get(Ref(SERVICE, "default", "a?watch=1#b c"))

    assert server.received[0].path == "/api/v1/namespaces/default/services/a%3Fwatch%3D1%23b%20c"


def test_a_server_url_may_have_a_path(serve, tmp_path, stack):
    server = serve(a_page("a"))
    path = write_kubeconfig(
        tmp_path / "config", cluster={"server": f"{server.url}/k8s/clusters/c-1/"}, user={}
    )
    connection = connect(str(path))
    stack.callback(connection.close)

    connection.reader().list(CONFIG_MAP)

    assert server.received[0].path == "/k8s/clusters/c-1/api/v1/configmaps"
