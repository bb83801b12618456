from __future__ import annotations

import json
from contextlib import closing

import pykube
import requests

from prism_operator.adapters.connection import connect_over
from prism_operator.api.meta import CONFIG_MAP, DEPLOYMENT, PRISM_STACK, Json, Ref
from prism_operator.ports import EventType, Failed, Listed, Ok, Reason
from simulator.apiserver.client import PAGE_SIZE
from simulator.apiserver.patches import APPLY_PATCH
from simulator.apiserver.request import Request, Response
from simulator.apiserver.transport import InProcessAdapter

from .builders import World, a_config_map, a_crd, a_deployment, ref


def ok(outcome: Ok | Failed) -> Json:
    assert isinstance(outcome, Ok), outcome
    return outcome.obj


def reason_of(outcome: Ok | Failed | Listed) -> Reason:
    assert isinstance(outcome, Failed), outcome
    return outcome.reason


def test_a_list_has_all_pages_and_every_object_its_kind() -> None:
    world = World()
    names = [f"m{n:04}" for n in range(PAGE_SIZE + 1)]
    for name in names:
        world.create(a_config_map(name))

    listed = world.reader.list(CONFIG_MAP)

    assert isinstance(listed, Listed)
    assert [item["metadata"]["name"] for item in listed.items] == names
    assert {(item["apiVersion"], item["kind"]) for item in listed.items} == {("v1", "ConfigMap")}


def test_a_watch_goes_on_from_a_list() -> None:
    world = World()
    listed = world.reader.list(CONFIG_MAP)
    assert isinstance(listed, Listed)
    watch = world.reader.watch(CONFIG_MAP, "default", listed.resource_version)
    assert watch.poll() == []

    world.create(a_config_map())

    (event,) = watch.poll()
    assert (event.type, event.obj["kind"]) == (EventType.ADDED, "ConfigMap")
    assert watch.ended() is None
    watch.close()
    assert watch.poll() == []


def test_a_watch_says_why_it_ended() -> None:
    world = World()
    world.create(a_config_map())
    world.server.storage.compact()
    too_old = world.reader.watch(CONFIG_MAP, "", "1")
    assert too_old.poll() == []
    absent = world.reader.watch(PRISM_STACK, "", "1")
    regular = world.reader.watch(CONFIG_MAP, "", str(world.server.storage.revision))
    world.clock.advance(3 * 3600)
    regular.poll()

    reasons = [reason_of(ended) for w in (too_old, absent, regular) if (ended := w.ended())]

    assert reasons == [Reason.GONE, Reason.NO_KIND, Reason.TRANSIENT]


def test_failures_have_the_reason_a_caller_acts_on() -> None:
    world = World()
    created = ok(world.writer.create(a_config_map(), "me"))
    here = ref(CONFIG_MAP, "one")
    stale = {**created, "metadata": {**created["metadata"], "resourceVersion": "1"}}
    applied = a_deployment(replicas=2)
    ok(world.writer.apply(applied, "me", force=False))
    contested = {**applied, "spec": {**applied["spec"], "replicas": 3}}

    outcomes = {
        Reason.ALREADY_EXISTS: world.writer.create(a_config_map(), "me"),
        Reason.CONFLICT: world.writer.replace(stale, "me"),
        Reason.UID_MISMATCH: world.writer.delete(here, uid="another"),
        Reason.NOT_FOUND: world.reader.get(ref(CONFIG_MAP, "absent")),
        Reason.NO_KIND: world.reader.get(ref(PRISM_STACK, "one")),
        Reason.INVALID: world.writer.create(a_deployment("bad", replicas=-1), "me"),
    }

    assert {reason: reason_of(outcome) for reason, outcome in outcomes.items()} == {
        reason: reason for reason in outcomes
    }
    assert reason_of(world.writer.apply(contested, "you", force=False)) is Reason.CONFLICT


def test_throttling_says_how_long_to_wait() -> None:
    world = World()
    body = {"kind": "Status", "code": 429, "reason": "TooManyRequests"}
    busy = Response(429, {**body, "details": {"retryAfterSeconds": 3}})
    world.server.faults = lambda request, response: busy

    outcome = world.reader.get(ref(CONFIG_MAP, "one"))

    assert outcome == Failed(Reason.THROTTLED, "", 3.0)


def test_the_writer_does_what_its_port_says() -> None:
    world = World()
    here = ref(DEPLOYMENT, "one")
    applied = ok(world.writer.apply(a_deployment(), "me", force=True))
    status = {
        **a_deployment(),
        "status": {"replicas": 1, "readyReplicas": 1},
    }
    told = ok(world.writer.apply(status, "me-status", force=True, subresource="status"))
    operation = {"op": "replace", "path": "/spec/replicas", "value": 4}
    patched = ok(world.writer.patch_json(here, [operation], "me"))
    paused = {**patched, "spec": {**patched["spec"], "paused": True}}
    replaced = ok(world.writer.replace(paused, "me"))
    version = replaced["metadata"]["resourceVersion"]

    assert told["status"]["readyReplicas"] == 1
    assert patched["spec"]["replicas"] == 4
    assert replaced["spec"]["paused"] is True
    assert isinstance(
        world.writer.delete(here, uid=applied["metadata"]["uid"], resource_version=version), Ok
    )


def test_pykube_talks_to_the_server_in_process() -> None:
    world = World()
    world.create(a_config_map())
    config = pykube.KubeConfig.from_url("http://in-process")
    api = pykube.HTTPClient(config, http_adapter=InProcessAdapter(world.server))

    found = pykube.ConfigMap.objects(api, namespace="default").get(name="one")

    assert found.obj["data"] == {"key": "value"}
    api.session.close()


def test_our_adapters_see_the_same_as_the_ports() -> None:
    world = World()
    world.create(a_crd("prismstacks"))
    world.create(a_config_map())
    with closing(connect_over(InProcessAdapter(world.server))) as connection:
        here: Ref = ref(CONFIG_MAP, "one")

        assert connection.reader().get(here) == world.reader.get(here)
        assert connection.reader().list(CONFIG_MAP) == world.reader.list(CONFIG_MAP)


def test_a_watch_over_http_delivers_what_is_pending_and_ends() -> None:
    world = World()
    version = str(world.server.storage.revision)
    world.create(a_config_map())
    session = requests.Session()
    session.mount("http://", InProcessAdapter(world.server))

    query = {"watch": "true", "resourceVersion": version}
    url = f"http://in-process{CONFIG_MAP.path()}"
    with session.get(url, params=query, stream=True) as response:
        lines = [json.loads(line) for line in response.iter_lines()]

    assert [line["type"] for line in lines] == ["ADDED"]
    session.close()


def test_bodies_that_are_not_json_are_refused_and_applies_may_be_yaml() -> None:
    world = World()
    session = requests.Session()
    session.mount("http://", InProcessAdapter(world.server))
    url = f"http://in-process{CONFIG_MAP.path('default')}"

    broken = session.post(url, data="{", headers={"Content-Type": "application/json"})
    applied = session.patch(
        f"{url}/two?fieldManager=me",
        data="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\ndata: {a: b}\n",
        headers={"Content-Type": APPLY_PATCH},
    )

    assert broken.status_code == 400
    assert applied.status_code == 201
    assert applied.json()["data"] == {"a": "b"}
    session.close()


def test_requests_carry_the_user_of_their_port() -> None:
    world = World()
    users: list[str] = []

    def note(request: Request, response: Response | None) -> Response | None:
        users.append(request.user)
        return None

    world.server.faults = note
    session = requests.Session()
    session.mount("http://", InProcessAdapter(world.server, user="jane"))
    session.get(f"http://in-process{CONFIG_MAP.path()}")
    session.close()

    assert set(users) == {"jane"}
