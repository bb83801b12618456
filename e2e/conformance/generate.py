"""Random request sequences: the same from the same seed, and a third of them wrong on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from e2e.conformance.steps import NOWHERE_UID, Step
from e2e.conformance.subjects import META_ALLOWED, META_REFUSED, SUBJECTS, Subject
from prism_operator.api.meta import Json
from simulator.apiserver.patches import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    merge_patch,
)

# Replaced by the namespace of the run.
NAMESPACE = "$namespace"
_NAMES = ("a", "b", "c", "d")
_MANAGERS = ("alice", "bob", "prism-operator")


def sequence(seed: str, length: int) -> list[Step]:
    """``length`` requests in one namespace about a few kinds."""
    rng = Random(seed)
    subjects = rng.sample(list(SUBJECTS), 3)
    return [_step(rng, rng.choice(subjects)) for _ in range(length)]


def _step(rng: Random, subject: Subject) -> Step:
    makers = (
        (_create, 22),
        (_update, 14),
        (_patch, 18),
        (_apply, 18),
        (_delete, 9),
        (_get, 5),
        (_list, 6),
        (_delete_collection, 1),
        (_watch, 0.3),
        (_status, 9 if subject.status else 0),
        (_scale, 5 if subject.scales else 0),
    )
    chosen = rng.choices([m for m, _ in makers], [weight for _, weight in makers])[0]
    return chosen(rng, subject, rng.choice(_NAMES))


def _request(
    subject: Subject, method: str, intent: str, name: str = "", subresource: str = "", **rest: Any
) -> Step:
    path = subject.resource.path(NAMESPACE, name, subresource)
    return Step(method, path, subject.key, intent, **rest)


def _changed(rng: Random, subject: Subject, body: Json) -> tuple[str, Json]:
    """``body`` with an allowed change or, one time in four, one that is refused."""
    allowed = [*subject.allowed, *META_ALLOWED]
    refused = [*subject.refused, *META_REFUSED, *subject.immutable]
    if rng.random() < 0.25:
        change = rng.choice(refused)
        return f"refused {_brief(change)}", _merged(body, change)
    if rng.random() < 0.3:
        return "same", body
    change = rng.choice(allowed)
    return f"allowed {_brief(change)}", _merged(body, change)


def _create(rng: Random, subject: Subject, name: str) -> Step:
    intent, body = _changed(rng, subject, subject.new(rng, name))
    query = _write_query(rng)
    if rng.random() < 0.08:
        odd = rng.randrange(8)
        meta = body["metadata"]
        if odd == 0:
            meta["name"], intent = "Not_A_Name!", "bad name"
        elif odd == 1:
            meta["namespace"], intent = "elsewhere", "other namespace"
        elif odd == 2:
            body["kind"], intent = "Wrong", "wrong kind"
        elif odd == 3:
            body["apiVersion"], intent = "wrong/v1", "wrong version"
        elif odd == 4:
            meta["resourceVersion"], intent = "7", "with resourceVersion"
        elif odd == 5 and subject.key != "services":
            del meta["name"]
            intent = "no name"
        elif odd in (5, 6):
            del meta["name"]
            meta["generateName"], intent = "gen-", "generated name"
        else:
            meta["uid"], intent = NOWHERE_UID, "with uid"
    return _request(subject, "POST", f"create {intent}", query=query, body=body)


def _live(subject: Subject, name: str, merge: Json, rng: Random) -> Json:
    return {"$live": f"{subject.key}/{name}", "$merge": merge, "$else": subject.new(rng, name)}


def _change(rng: Random, subject: Subject) -> tuple[str, Json]:
    refused = [*subject.refused, *META_REFUSED, *subject.immutable]
    if rng.random() < 0.25:
        change = dict(rng.choice(refused))
        return f"refused {_brief(change)}", change
    change = dict(rng.choice([{}, *subject.allowed, *META_ALLOWED]))
    return f"allowed {_brief(change)}", change


def _update(rng: Random, subject: Subject, name: str) -> Step:
    intent, change = _change(rng, subject)
    odd = rng.random()
    meta: Json = {}
    if odd < 0.1:
        meta, intent = {"resourceVersion": f"$oldrv:{subject.key}/{name}"}, "old version"
    elif odd < 0.18:
        meta, intent = {"resourceVersion": None}, f"no version, {intent}"
    elif odd < 0.22:
        meta, intent = {"uid": NOWHERE_UID}, "other uid"
    elif odd < 0.25:
        meta, intent = {"name": "z"}, "other name"
    elif odd < 0.28:
        meta, intent = {"managedFields": []}, "reset managedFields"
    elif odd < 0.31:
        meta, intent = {"generation": 77, "creationTimestamp": None}, "system fields"
    body = _live(subject, name, merge_patch(change, {"metadata": meta}), rng)
    if rng.random() < 0.3:
        # A client that sends what it wants, not what it read.
        body = _merged(subject.new(rng, name), change)
        intent = f"blind {intent}"
    query = _write_query(rng)
    return _request(subject, "PUT", f"update {intent}", name, query=query, body=body)


def _patch(rng: Random, subject: Subject, name: str) -> Step:
    intent, change = _change(rng, subject)
    kinds = (MERGE_PATCH, STRATEGIC_MERGE_PATCH, JSON_PATCH, "text/plain")
    kind = rng.choices(kinds, (8, 5, 5, 1))[0]
    body: Any = change
    query = _write_query(rng)
    if kind == JSON_PATCH:
        intent, body = _json_patch(rng, subject, name)
    elif rng.random() < 0.15:
        meta = {"resourceVersion": rng.choice(("$rv:", "$oldrv:")) + f"{subject.key}/{name}"}
        body, intent = merge_patch(change, {"metadata": meta}), f"versioned {intent}"
    elif rng.random() < 0.03:
        query = {**query, "force": "true"}
    if rng.random() < 0.03:
        body, intent = "not a patch", "not a patch"
    label = kind.split("/")[1].removesuffix("+json")
    return _request(
        subject, "PATCH", f"{label} {intent}", name, query=query, content_type=kind, body=body
    )


def _json_patch(rng: Random, subject: Subject, name: str) -> tuple[str, list[Json]]:
    operations: Sequence[tuple[str, list[Json]]] = (
        ("add annotations", [{"op": "add", "path": "/metadata/annotations", "value": {"j": "1"}}]),
        ("replace label", [{"op": "replace", "path": "/metadata/labels/track", "value": "on"}]),
        ("remove labels", [{"op": "remove", "path": "/metadata/labels"}]),
        (
            "test uid",
            [
                {"op": "test", "path": "/metadata/uid", "value": f"$uid:{subject.key}/{name}"},
                {"op": "add", "path": "/metadata/annotations", "value": {"j": "2"}},
            ],
        ),
        ("failing test", [{"op": "test", "path": "/metadata/uid", "value": NOWHERE_UID}]),
        (
            "test version",
            [
                {
                    "op": "test",
                    "path": "/metadata/resourceVersion",
                    "value": f"$oldrv:{subject.key}/{name}",
                },
                {"op": "remove", "path": "/metadata/finalizers"},
            ],
        ),
        ("bad operation", [{"op": "frobnicate", "path": "/metadata"}]),
        ("unknown field", [{"op": "add", "path": "/unknownField", "value": 1}]),
        ("absent path", [{"op": "replace", "path": "/spec/no/such", "value": 1}]),
        ("copy", [{"op": "copy", "from": "/metadata/name", "path": "/metadata/generateName"}]),
        ("nothing", []),
    )
    return rng.choice(operations)


def _apply(rng: Random, subject: Subject, name: str) -> Step:
    body = subject.new(rng, name)
    body["metadata"].pop("finalizers", None)
    if rng.random() < 0.4:
        keep = ("apiVersion", "kind", "metadata")
        body = {key: value for key, value in body.items() if key in keep}
        intent, change = _change(rng, subject)
        body = _merged(body, change)
        intent = f"partial {intent}"
    else:
        intent, body = _changed(rng, subject, body)
    query = {"fieldManager": rng.choice(_MANAGERS)}
    if rng.random() < 0.4:
        query["force"] = "true"
    odd = rng.random()
    if odd < 0.03:
        del query["fieldManager"]
        intent = "no manager"
    elif odd < 0.06:
        body["metadata"]["uid"], intent = f"$uid:{subject.key}/{name}", "with uid"
    elif odd < 0.09:
        body["metadata"]["uid"], intent = NOWHERE_UID, "with another uid"
    elif odd < 0.13:
        version = rng.choice(("$rv:", "$oldrv:")) + f"{subject.key}/{name}"
        body["metadata"]["resourceVersion"], intent = version, "with version"
    elif odd < 0.15:
        body["metadata"]["managedFields"], intent = [{"manager": "x"}], "with managedFields"
    elif odd < 0.17:
        body["metadata"]["name"], intent = "z", "other name"
    elif odd < 0.19:
        del body["kind"]
        intent = "no kind"
    query |= _validation_query(rng)
    subresource = ""
    if subject.status and subject.key != "services" and rng.random() < 0.15:
        subresource = "status"
        keep = ("apiVersion", "kind", "metadata")
        body = {key: value for key, value in body.items() if key in keep}
        body = merge_patch(body, rng.choice(list(subject.status)))
        intent = "status"
    return _request(
        subject,
        "PATCH",
        f"apply {intent}",
        name,
        subresource,
        query=query,
        content_type=APPLY_PATCH,
        body=body,
    )


def _delete(rng: Random, subject: Subject, name: str) -> Step:
    key = f"{subject.key}/{name}"
    options: Sequence[tuple[str, Json | None]] = (
        ("", None),
        ("", None),
        ("", None),
        ("background", {"propagationPolicy": "Background"}),
        ("foreground", {"propagationPolicy": "Foreground"}),
        ("orphan", {"propagationPolicy": "Orphan"}),
        ("by uid", {"preconditions": {"uid": f"$uid:{key}"}}),
        ("by other uid", {"preconditions": {"uid": NOWHERE_UID}}),
        ("by version", {"preconditions": {"resourceVersion": f"$rv:{key}"}}),
        ("by old version", {"preconditions": {"resourceVersion": f"$oldrv:{key}"}}),
        ("at once", {"gracePeriodSeconds": 0}),
        ("with grace", {"gracePeriodSeconds": 20}),
        ("bad policy", {"propagationPolicy": "Sideways"}),
        ("two policies", {"propagationPolicy": "Orphan", "orphanDependents": True}),
        ("orphan, old way", {"orphanDependents": True}),
        ("not orphan, old way", {"orphanDependents": False}),
        ("dry run", {"dryRun": ["All"]}),
        ("bad dry run", {"dryRun": ["Some"]}),
    )
    intent, body = rng.choice(options)
    if body is not None:
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **body}
    return _request(subject, "DELETE", f"delete {intent}", name, body=body)


def _delete_collection(rng: Random, subject: Subject, name: str) -> Step:
    del name
    query = rng.choice(({}, {"labelSelector": "track=on"}, {"dryRun": "All"}))
    return _request(subject, "DELETE", "delete collection", query=query)


def _get(rng: Random, subject: Subject, name: str) -> Step:
    if subject.status and rng.random() < 0.2:
        return _request(subject, "GET", "get status", name, "status")
    if subject.scales and rng.random() < 0.2:
        return _request(subject, "GET", "get scale", name, "scale")
    return _request(subject, "GET", "get", name)


def _list(rng: Random, subject: Subject, name: str) -> Step:
    queries: Sequence[Json] = (
        {},
        {"limit": "1"},
        {"limit": "2"},
        {"limit": "1", "continue": f"$continue:{subject.key}"},
        {"limit": "1", "continue": f"$continue:{subject.key}"},
        {"continue": "nonsense"},
        {"labelSelector": "track=on"},
        {"labelSelector": "track"},
        {"labelSelector": "!track"},
        {"labelSelector": "track in (on,off),track!=off"},
        {"labelSelector": "track notin (on)"},
        {"labelSelector": "track in on"},
        {"labelSelector": "a=b=c"},
        {"labelSelector": "track=on", "limit": "1"},
        {"fieldSelector": f"metadata.name={name}"},
        {"fieldSelector": f"metadata.name!={name}"},
        {"fieldSelector": "spec.nosuch=1"},
        {"fieldSelector": "nonsense"},
        {"resourceVersion": f"$listrv:{subject.key}", "resourceVersionMatch": "Exact"},
        {"resourceVersion": f"$listrv:{subject.key}", "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersionMatch": "Exact"},
        {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
        {"resourceVersion": "1", "resourceVersionMatch": "Somehow"},
        {"resourceVersion": "abc"},
        {"sendInitialEvents": "true"},
    )
    return _request(subject, "GET", "list", query=rng.choice(queries))


def _watch(rng: Random, subject: Subject, name: str) -> Step:
    """A watch of one second: it shows what is kept, and ends."""
    version = f"$rv:{subject.key}/{name}"
    queries: Sequence[Json] = (
        {"resourceVersion": version},
        {"resourceVersion": f"$oldrv:{subject.key}/{name}"},
        {"resourceVersion": version, "labelSelector": "track=on"},
        {"resourceVersion": version, "fieldSelector": f"metadata.name={name}"},
        {"resourceVersion": ""},
        {"resourceVersion": "", "labelSelector": "track"},
        {"resourceVersion": "1"},
        {"resourceVersion": "abc"},
        {"sendInitialEvents": "true"},
        {"resourceVersionMatch": "NotOlderThan"},
        {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
        },
        {
            "sendInitialEvents": "false",
            "resourceVersionMatch": "NotOlderThan",
            "resourceVersion": version,
        },
    )
    query = {"watch": "true", "timeoutSeconds": "1", **rng.choice(queries)}
    return _request(subject, "GET", "watch", query=query)


def _status(rng: Random, subject: Subject, name: str) -> Step:
    change = dict(rng.choice(list(subject.status)))
    if rng.random() < 0.5 and subject.key != "services":
        body = _live(subject, name, change, rng)
        query = _write_query(rng)
        return _request(subject, "PUT", "update status", name, "status", query=query, body=body)
    kind = rng.choice((MERGE_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH))
    return _request(
        subject, "PATCH", "patch status", name, "status", content_type=kind, body=change
    )


def _scale(rng: Random, subject: Subject, name: str) -> Step:
    replicas = rng.choice((0, 1, 4, 7, -1))
    if rng.random() < 0.5:
        body: Json = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"replicas": replicas},
        }
        if rng.random() < 0.2:
            body["metadata"]["resourceVersion"] = f"$oldrv:{subject.key}/{name}"
        return _request(
            subject, "PUT", "update scale", name, "scale", query=_write_query(rng), body=body
        )
    return _request(
        subject,
        "PATCH",
        "patch scale",
        name,
        "scale",
        content_type=MERGE_PATCH,
        query=_write_query(rng),
        body={"spec": {"replicas": replicas}},
    )


def _write_query(rng: Random) -> dict[str, str]:
    query = _validation_query(rng)
    if rng.random() < 0.7:
        query["fieldManager"] = rng.choice(_MANAGERS)
    if rng.random() < 0.02:
        query["fieldManager"] = "x" * 129
    return query


def _validation_query(rng: Random) -> dict[str, str]:
    query = {}
    if rng.random() < 0.4:
        query["fieldValidation"] = rng.choice(("Strict", "Strict", "Warn", "Ignore"))
    if rng.random() < 0.01:
        query["fieldValidation"] = "Loose"
    if rng.random() < 0.08:
        query["dryRun"] = "All"
    if rng.random() < 0.01:
        query["dryRun"] = "Some"
    return query


def _merged(body: Json, change: Any) -> Json:
    """``body`` changed, without the empty maps that a removal leaves.

    A real server stores those of a custom object, shows none, and drops them with the next write.
    """
    merged: Json = merge_patch(body, change)
    meta = merged["metadata"]
    merged["metadata"] = {key: value for key, value in meta.items() if value != {}}
    return merged


def _brief(change: Any) -> str:
    """The path and value of a change, short."""
    path = []
    while isinstance(change, dict) and len(change) == 1:
        name, change = next(iter(change.items()))
        path.append(name)
    text = f"{'.'.join(path)}={change}"
    return text if len(text) < 60 else text[:57] + "..."
