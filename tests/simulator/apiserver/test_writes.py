from __future__ import annotations

import pytest

from prism_operator.api.meta import (
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    EVENT,
    LEASE,
    NAMESPACE,
    POD,
    SERVICE,
    Json,
)
from simulator.apiserver.patches import APPLY_PATCH, STRATEGIC_MERGE_PATCH
from simulator.apiserver.request import Request, Response

from .builders import (
    WIDGET,
    World,
    a_config_map,
    a_deployment,
    a_namespace,
    a_pod,
    a_small_crd,
    a_widget,
    an_object,
    path_of,
    refused,
)


def test_a_created_object_has_its_system_fields() -> None:
    world = World()

    created = world.create(a_deployment())

    meta = created["metadata"]
    assert meta["creationTimestamp"] == "2026-03-02T00:00:00Z"
    assert meta["generation"] == 1
    assert meta["resourceVersion"] == str(world.server.storage.revision)
    assert len(meta["uid"]) == 36
    assert created["spec"]["revisionHistoryLimit"] == 10
    assert world.get(DEPLOYMENT, "one") == created


def test_uids_and_generated_names_depend_on_the_seed_alone() -> None:
    def run(seed: int) -> list[str]:
        world = World(seed)
        objs = [world.create(an_object(CONFIG_MAP, "", metadata={"generateName": "gen-"}))]
        objs.append(world.create(a_config_map()))
        return [f"{o['metadata']['name']} {o['metadata']['uid']}" for o in objs]

    assert run(7) == run(7)
    assert run(7) != run(8)
    assert run(7)[0].startswith("gen-")


def test_what_a_client_may_not_set_is_dropped() -> None:
    world = World()
    meta = {"uid": "mine", "creationTimestamp": "2000-01-01T00:00:00Z", "generation": 9}

    created = world.create(a_deployment(metadata=meta, status={"replicas": 5}))

    assert created["metadata"]["uid"] != "mine"
    assert created["metadata"]["creationTimestamp"] == "2026-03-02T00:00:00Z"
    assert created["metadata"]["generation"] == 1
    assert "replicas" not in created["status"]


def test_refusals_of_a_create_read_as_the_real_ones() -> None:
    world = World()
    world.create(a_config_map())
    path = CONFIG_MAP.path("default")
    elsewhere = {**a_config_map("two"), "metadata": {"name": "two", "namespace": "other"}}

    assert refused(world.ask("POST", path, a_config_map())) == (
        409,
        "AlreadyExists",
        'configmaps "one" already exists',
    )
    assert refused(world.ask("POST", path, elsewhere)) == (
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    )
    assert refused(world.ask("POST", CONFIG_MAP.path("absent"), a_config_map(namespace="absent")))[
        2
    ] == ('namespaces "absent" not found')
    assert refused(world.ask("POST", path, b"{"))[0] == 400
    assert refused(world.ask("POST", path, {**a_config_map(), "kind": "Secret"}))[0] == 400


def test_an_invalid_object_names_every_field_that_is_wrong() -> None:
    world = World()

    response = world.ask("POST", DEPLOYMENT.path("default"), a_deployment(replicas=-1))

    assert refused(response) == (
        422,
        "Invalid",
        'Deployment.apps "one" is invalid: spec.replicas: Invalid value: -1: must be greater than'
        " or equal to 0",
    )
    assert isinstance(response.body, dict)
    assert response.body["details"]["causes"] == [
        {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: -1: must be greater than or equal to 0",
            "field": "spec.replicas",
        }
    ]


def test_unknown_fields_are_refused_warned_of_or_ignored() -> None:
    world = World()
    body = {**a_config_map(), "surplus": 1}
    path = CONFIG_MAP.path("default")

    strict = world.ask("POST", path, body, fieldValidation="Strict", dryRun="All")
    warned = world.ask("POST", path, body, fieldValidation="Warn", dryRun="All")
    ignored = world.ask("POST", path, body, fieldValidation="Ignore", dryRun="All")

    assert refused(strict)[0] == 400
    assert 'strict decoding error: unknown field "surplus"' in refused(strict)[2]
    assert warned.headers["Warning"] == '299 - "unknown field \\"surplus\\""'
    assert "Warning" not in ignored.headers
    assert "surplus" not in World.done(warned)


def test_a_dry_run_answers_and_stores_nothing() -> None:
    world = World()
    revision = world.server.storage.revision

    created = world.create(a_config_map(), dryRun="All")

    assert created["metadata"]["uid"]
    assert "resourceVersion" not in created["metadata"]
    assert world.server.storage.revision == revision
    assert not world.exists(CONFIG_MAP, "one")


def test_an_update_needs_the_version_it_was_made_from() -> None:
    world = World()
    first = world.create(a_config_map())
    world.done(world.update({**first, "data": {"key": "new"}}))

    stale = world.update({**first, "data": {"key": "newer"}})

    assert refused(stale) == (
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; please'
        " apply your changes to the latest version and try again",
    )


def test_an_update_without_version_is_unconditional_where_the_kind_allows_it() -> None:
    world = World()
    world.create(a_config_map())
    lease = an_object(LEASE, "one", spec={})
    world.create(lease)

    assert world.update(a_config_map(data={"key": "new"})).status == 200
    assert refused(world.update(lease))[0] == 422
    assert "metadata.resourceVersion" in refused(world.update(lease))[2]


def test_some_kinds_are_created_by_an_update() -> None:
    world = World()

    assert world.update(an_object(LEASE, "one", spec={})).status == 201
    assert world.update(a_config_map()).status == 404


def test_an_update_of_another_object_of_that_name_is_a_conflict() -> None:
    world = World()
    world.create(a_config_map())
    other = a_config_map(metadata={"uid": "00000000-0000-4000-8000-000000000000"})

    code, reason, message = refused(world.update(other))

    assert (code, reason) == (409, "Conflict")
    assert "Precondition failed: UID in precondition" in message


def test_a_write_that_changes_nothing_takes_no_revision() -> None:
    world = World()
    created = world.create(a_deployment())
    revision = world.server.storage.revision

    same = World.done(world.update(created))
    world.clock.advance(5)
    again = World.done(world.merge(created, {"spec": {"replicas": 1}}))

    assert same["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    assert again == created
    assert world.server.storage.revision == revision


def test_the_generation_counts_changes_of_the_spec_alone() -> None:
    world = World()
    created = world.create(a_deployment())

    labelled = World.done(world.merge(created, {"metadata": {"labels": {"a": "b"}}}))
    scaled = World.done(world.merge(created, {"spec": {"replicas": 4}}))
    told = World.done(world.merge(created, {"status": {"replicas": 4}}, "status"))

    assert labelled["metadata"]["generation"] == 1
    assert scaled["metadata"]["generation"] == 2
    assert told["metadata"]["generation"] == 2
    assert told["status"]["replicas"] == 4


def test_status_and_the_rest_are_written_apart() -> None:
    world = World()
    created = world.create(a_deployment())
    both = {"spec": {"replicas": 7}, "status": {"replicas": 7}}

    main = World.done(world.merge(created, both))
    status = World.done(world.merge(created, {**both, "spec": {"replicas": 9}}, "status"))

    assert (main["spec"]["replicas"], main["status"].get("replicas")) == (7, None)
    assert (status["spec"]["replicas"], status["status"]["replicas"]) == (7, 7)


def test_scale_is_a_view_of_the_replicas() -> None:
    world = World()
    created = world.create(a_deployment(replicas=2))
    path = path_of(created, "scale")

    scale = World.done(world.ask("GET", path))
    answer = World.done(world.ask("PUT", path, {**scale, "spec": {"replicas": 5}}))
    stale = world.ask("PUT", path, {**scale, "spec": {"replicas": 6}})
    negative = world.merge(created, {"spec": {"replicas": -1}}, "scale")

    assert scale["kind"] == "Scale"
    assert (scale["spec"], scale["status"]) == (
        {"replicas": 2},
        {"replicas": 0, "selector": "app=one"},
    )
    assert answer["spec"] == {"replicas": 5}
    assert world.get(DEPLOYMENT, "one")["spec"]["replicas"] == 5
    assert refused(stale)[0] == 409
    assert refused(negative)[2].startswith('Scale.autoscaling "one" is invalid: spec.replicas')


def test_a_json_patch_guards_itself_with_tests() -> None:
    world = World()
    created = world.create(a_config_map())
    uid = {"op": "test", "path": "/metadata/uid", "value": created["metadata"]["uid"]}
    wrong = {**uid, "value": "another"}
    change = {"op": "replace", "path": "/data/key", "value": "new"}

    assert World.done(world.json_patch(created, uid, change))["data"] == {"key": "new"}
    assert refused(world.json_patch(created, wrong, change))[:2] == (422, "Invalid")
    assert refused(world.json_patch(created, {"op": "remove", "path": "/no/such"}))[0] == 422


def test_a_patch_with_an_old_version_is_a_conflict() -> None:
    world = World()
    created = world.create(a_config_map())
    change = {"metadata": {"resourceVersion": "1"}, "data": {"key": "new"}}

    assert refused(world.merge(created, change))[:2] == (409, "Conflict")


def test_patch_types_that_a_kind_does_not_take_are_refused() -> None:
    world = World()
    world.create(a_small_crd())
    widget = world.create(a_widget())
    built_in = world.create(a_config_map())

    strategic = world.strategic(widget, {"spec": {"a": 1}})
    plain = world.ask("PATCH", path_of(built_in), {}, content_type="text/plain")

    assert refused(strategic)[:2] == (415, "UnsupportedMediaType")
    assert STRATEGIC_MERGE_PATCH not in refused(strategic)[2]
    assert refused(plain)[0] == 415


def test_an_apply_creates_owns_and_conflicts() -> None:
    world = World()
    mine = a_deployment(replicas=2)
    path = path_of(mine)

    def apply(obj: Json, manager: str, **query: str) -> Response:
        query["fieldManager"] = manager
        return world.ask("PATCH", path, obj, content_type=APPLY_PATCH, **query)

    first = apply(mine, "alice")
    theirs = {**mine, "spec": {**mine["spec"], "replicas": 5}}
    refusal = apply(theirs, "bob")
    forced = apply(theirs, "bob", force="true")

    assert first.status == 201
    assert refused(refusal)[:2] == (409, "Conflict")
    assert 'conflict with "alice": .spec.replicas' in refused(refusal)[2]
    assert World.done(forced)["spec"]["replicas"] == 5
    assert refused(world.ask("PATCH", path, mine, content_type=APPLY_PATCH))[0] == 422


def test_events_of_both_groups_are_one_object() -> None:
    world = World()
    event = an_object(
        EVENT,
        "one",
        eventTime="2026-03-02T00:00:00.000000Z",
        action="Create",
        reason="Created",
        type="Normal",
        note="it was created",
        reportingController="prism.io/operator",
        reportingInstance="one",
        regarding={"kind": "Pod", "name": "p", "namespace": "default"},
    )
    created = world.create(event)

    core = World.done(world.ask("GET", "/api/v1/namespaces/default/events/one"))

    assert core["apiVersion"] == "v1"
    assert core["message"] == "it was created"
    assert core["involvedObject"]["name"] == "p"
    assert core["metadata"] == created["metadata"]
    selected = world.ask(
        "GET", "/api/v1/namespaces/default/events", fieldSelector="involvedObject.name=p"
    )
    assert len(World.done(selected)["items"]) == 1


def test_addresses_and_node_ports_are_given_kept_and_freed() -> None:
    world = World()

    def a_service(name: str, **spec: object) -> Json:
        return an_object(SERVICE, name, spec={"ports": [{"port": 80}], **spec})

    one = world.create(a_service("one"))
    two = world.create(a_service("two", type="NodePort"))
    wanted = one["spec"]["clusterIP"]
    taken = world.ask("POST", SERVICE.path("default"), a_service("three", clusterIP=wanted))
    replaced = World.done(world.update(a_service("two", type="NodePort")))
    world.delete(one)
    again = world.create(a_service("three", clusterIP=wanted))
    headless = world.create(a_service("four", clusterIP="None", selector={"a": "b"}))

    assert one["spec"]["clusterIPs"] == [wanted]
    assert two["spec"]["clusterIP"] != wanted
    assert two["spec"]["ports"][0]["nodePort"] == 30000
    assert "provided IP is already allocated" in refused(taken)[2]
    assert replaced["spec"] == two["spec"]
    assert again["spec"]["clusterIP"] == wanted
    assert headless["spec"]["clusterIPs"] == ["None"]


def test_a_dry_run_of_a_service_takes_no_address() -> None:
    world = World()
    service = an_object(SERVICE, "one", spec={"ports": [{"port": 80}]})

    shown = world.create(service, dryRun="All")["spec"]["clusterIP"]
    given = world.create(service)["spec"]["clusterIP"]

    assert shown == "10.96.0.0"
    assert given == "10.96.0.1"


def test_nothing_is_created_in_a_namespace_that_ends() -> None:
    world = World()
    world.create(a_namespace("ending"))
    world.create(a_config_map(namespace="ending"))
    marked = World.done(world.delete(a_namespace("ending")))

    refusal = world.ask("POST", CONFIG_MAP.path("ending"), a_config_map("two", namespace="ending"))

    assert marked["status"]["phase"] == "Terminating"
    assert marked["metadata"]["deletionTimestamp"] == "2026-03-02T00:00:00Z"
    assert refused(refusal) == (
        403,
        "Forbidden",
        'configmaps "two" is forbidden: unable to create new content in namespace ending because'
        " it is being terminated",
    )
    assert refused(world.delete(a_namespace("default")))[0] == 403


def test_a_definition_serves_its_kind_while_it_is_there() -> None:
    world = World()
    assert world.ask("GET", WIDGET.path()).status == 404
    world.create(a_small_crd())
    widget = world.create(a_widget(spec={"size": 3}))
    crd = world.get(CUSTOM_RESOURCE_DEFINITION, "widgets.example.com")

    assert {c["type"]: c["status"] for c in crd["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert world.get(WIDGET, "one")["spec"] == {"size": 3}

    world.delete(crd)

    assert world.ask("GET", path_of(widget)).body == "404 page not found\n"
    assert not world.exists(CUSTOM_RESOURCE_DEFINITION, "widgets.example.com")


def test_a_definition_waits_for_objects_that_finalizers_hold() -> None:
    world = World()
    crd = world.create(a_small_crd())
    widget = world.create(a_widget(metadata={"finalizers": ["example.com/hold"]}))
    world.delete(crd)

    waiting = world.get(CUSTOM_RESOURCE_DEFINITION, "widgets.example.com")
    refusal = world.ask("POST", WIDGET.path("default"), a_widget("two"))
    world.merge(widget, {"metadata": {"finalizers": None}})

    assert waiting["metadata"]["deletionTimestamp"]
    assert "create not allowed while custom resource definition" in refused(refusal)[2]
    assert not world.exists(CUSTOM_RESOURCE_DEFINITION, "widgets.example.com")


def test_a_definition_that_cannot_be_served_is_refused() -> None:
    world = World()
    bad = {"type": "object", "x-kubernetes-validations": [{"rule": "this is no rule"}]}

    response = world.ask("POST", CUSTOM_RESOURCE_DEFINITION.path(), a_small_crd(spec=bad))

    assert refused(response)[0] == 422
    assert "this is no rule" in refused(response)[2]


def test_a_pod_is_bound_once() -> None:
    world = World()
    pod = world.create(a_pod())
    body = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "n1"}}

    bound = world.ask("POST", path_of(pod, "binding"), body)
    again = world.ask("POST", path_of(pod, "binding"), body)

    assert bound.status == 201
    assert world.get(POD, "one")["spec"]["nodeName"] == "n1"
    assert refused(again)[0] == 409


def test_faults_answer_before_or_instead_of_the_server() -> None:
    world = World()
    lost = Response(504, {"kind": "Status", "code": 504, "message": "lost"})

    def lose_replies(request: Request, response: Response | None) -> Response | None:
        return lost if response is not None and request.method == "POST" else None

    world.server.faults = lose_replies
    assert world.ask("POST", CONFIG_MAP.path("default"), a_config_map()) is lost
    assert world.exists(CONFIG_MAP, "one")

    world.server.faults = lambda request, response: lost
    assert world.ask("DELETE", CONFIG_MAP.path("default", "one")) is lost
    world.server.faults = None
    assert world.exists(CONFIG_MAP, "one")


def test_an_authorizer_forbids() -> None:
    world = World()
    world.server.authorizer = lambda access: "" if access.verb == "create" else None
    path = CONFIG_MAP.path("default")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "create", "resource": "configmaps"}},
    }

    assert refused(world.ask("POST", path, a_config_map()))[1:] == (
        "Forbidden",
        'configmaps is forbidden: User "system:admin" cannot create resource "configmaps" in API'
        ' group "" in the namespace "default"',
    )
    assert world.ask("GET", path).status == 200
    answer = world.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert World.done(answer)["status"]["allowed"] is False


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/readyz", "ok"),
        ("/version", "v1.37"),
        ("/api", "v1"),
        ("/apis", "apps"),
        ("/apis/apps", "apps/v1"),
        ("/apis/apps/v1", "deployments/scale"),
        ("/api/v1", "configmaps"),
    ],
)
def test_discovery_says_what_is_served(path: str, expected: str) -> None:
    response = World().ask("GET", path)

    assert response.status == 200
    assert expected in str(response.body)


@pytest.mark.parametrize(
    "path", ["/", "/apis/nosuch/v1/things", "/api/v1/things", "/apis/apps/v1/deployments/x"]
)
def test_what_is_not_served_is_a_plain_404(path: str) -> None:
    response = World().ask("GET", path)

    assert (response.status, response.body) == (404, "404 page not found\n")


def test_changes_are_told_as_they_happen() -> None:
    world = World()
    told: list[tuple[str, str]] = []
    world.server.on_change(lambda resource, change: told.append((resource.kind, change.key)))

    world.create(a_config_map())
    world.delete(a_config_map())
    world.create(a_config_map(), dryRun="All")

    assert told == [("ConfigMap", "default/one")] * 2


def test_namespaces_are_there_from_the_start() -> None:
    listed = World.done(World().ask("GET", NAMESPACE.path()))

    assert [ns["metadata"]["name"] for ns in listed["items"]] == [
        "default",
        "kube-node-lease",
        "kube-public",
        "kube-system",
    ]
