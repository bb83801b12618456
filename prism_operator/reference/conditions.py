"""The page about conditions: each type and each reason, what it means and what to do.

A reason that the planner gives and that is not told here, or the other way round, is an error.
"""

from __future__ import annotations

from typing import Final

from prism_operator.planning import conditions
from prism_operator.ports import Reason
from prism_operator.reference.reasons import reasons_in_code

_INTRODUCTION: Final = """\
<!-- Generated from prism_operator/reference/conditions.py by `make manifests`. -->
# Conditions

`kubectl describe` shows them, `kubectl wait --for=condition=…` waits for them, and
`kubectl get prism -o wide` prints reason and message of Ready. `lastTransitionTime` moves only when
the status does. The message names the object and what to do; the tables say what is behind it.

## Types

The first five stand on every object and follow
[kstatus](https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus). The others stand
only where they apply, most of them only once there was reason to.

| Type | When it is True |
|---|---|
"""
_REASONS: Final = """
## Reasons

"""

TYPES: Final = {
    conditions.READY: "The newest generation is fully rolled out, and all parts are available",
    conditions.PROGRESSING: "Something is on its way; nobody has to do anything",
    conditions.DEGRADED: "Less works than should, or than worked before",
    conditions.RECONCILING: "The operator is at work on it, or tries a failed write again",
    conditions.STALLED: "It does not come right by itself: somebody has to do something",
    conditions.BACKENDS_HEALTHY: "Stacks: every backend is healthy. Never stops Ready",
    conditions.NAMESPACES_PROVISIONED: "Stacks: every namespace is provisioned. Never stops Ready",
    conditions.BACKEND_RESOLVED: "Patterns: the backend that is referred to is there, and used",
    conditions.SCALER_READY: "There is a scaler, and it works; False and Unknown say why not",
    conditions.MONITORS_READY: "Stacks with observability: Prometheus is told to read the metrics",
    conditions.PROVISIONED: "Namespaces: the proxy has it, if perhaps not its newest settings",
    conditions.QUOTAS_ENFORCED: "Namespaces: the proxy was told the newest quotas",
    conditions.PATTERNS_RESOLVED: "Namespaces: the patterns are there, and described to the proxy",
    conditions.EXPIRING: "Namespaces: the `ttl` ends soon",
    conditions.NAME_CONFLICT: "An object that we would make exists and is somebody else's",
    conditions.PAUSED: 'The annotation `prism.io/paused: "true"` stops all writes',
    conditions.PLACEMENT_REFUSED: "`nodeName` or a `system-*` priority is given and not allowed",
    conditions.PLACEMENT_UNSATISFIABLE: "Pods can never be scheduled on the nodes there are",
    conditions.PLACEMENT_INEFFECTIVE: "Pods are scheduled, but not as their strategy promises",
    conditions.FOREIGN_SCALER: "Somebody else's scaler scales our Deployment",
    conditions.TRIGGER_INVALID: "A KEDA trigger lacks the metadata its type needs",
    conditions.REPLICAS_EXCEED_PARTITIONS: "`maxReplicas` exceeds the topic's known partitions",
    conditions.EVEN_ADMIN_REPLICAS: "One admin less would outlive just as many failures",
}

# Each reason: what it means, and what to do. "–": nothing.
REASONS: Final[dict[str, tuple[str, str]]] = {
    "AllReady": ("Every backend, or every namespace, is ready", "–"),
    "AsExpected": ("Nothing is wrong", "–"),
    "AuthenticationNotFound": (
        "A trigger's `authenticationRef` names neither a TriggerAuthentication nor a Secret",
        "Create it, or correct the name",
    ),
    "BackendFound": ("The PrismBackend is there and its connection reaches the pods", "–"),
    "BackendInvalid": ("The PrismBackend breaks a rule", "Correct it as the message says"),
    "BackendNotAllowed": (
        "The PrismBackend of another namespace does not list this one",
        "Add the namespace to its `spec.allowedNamespaces`",
    ),
    "BackendNotFound": (
        "There is no PrismBackend of that name; the pods run without its settings",
        "Create it, or correct `spec.backendConfig`",
    ),
    "AddressDenied": (
        "A backend's address is link-local, a cloud's metadata service, or in `--denied-cidrs`",
        "Name another address, or change the operator's flag",
    ),
    "AuthenticationFailed": (
        "The backend, or a stack's admin, refuses the credentials",
        "Correct the Secret; it is read again within a minute",
    ),
    "CertificateExpired": (
        "The backend's certificate is not valid yet, or no longer",
        "Renew it on the server",
    ),
    "CertificateNameMismatch": (
        "The backend's certificate is for other host names",
        "Use a name it is for in the URL, or issue one for this name",
    ),
    "CertificateRefused": (
        "The backend asks for a certificate of ours, and refuses the one it got or none",
        "Put `tls.crt` and `tls.key` into the Secret of `spec.tls.secretRef`",
    ),
    "CertificateUntrusted": (
        "The backend's certificate leads to no authority that we trust",
        "Put its authority into `ca.crt` of the Secret of `spec.tls.secretRef`",
    ),
    "CertificateUnusable": (
        "The TLS Secret holds no certificate or key that can be read, or they do not match",
        "Correct `ca.crt`, `tls.crt` and `tls.key`, all PEM",
    ),
    "CheckPending": ("The first health check is under way", "–"),
    "ComponentsReady": ("Ready: every component of the stack is", "–"),
    "Connected": (
        "The backend accepts connections; its protocol is not checked, the message says why",
        "–",
    ),
    "ConnectionLost": (
        "The backend ended the connection before it answered",
        "Look at the backend; TLS where it wants none, or the reverse, looks like this too",
    ),
    "ConnectionRefused": (
        "Nobody listens at the backend's port",
        "Start it, or correct the URL",
    ),
    "Conflict": (
        "An older PrismNamespace has the `namespaceId` on this proxy",
        "Choose another `namespaceId`, or delete the older one",
    ),
    "DeploymentReady": ("Ready: the pattern's Deployment is rolled out", "–"),
    "EvenReplicas": (
        "The number of admins is even",
        "Take one more or one less; a warning, nothing is held back",
    ),
    "Expired": (
        "The namespace's `ttl` ended, and it left the proxy",
        "Set a longer `ttl` to have it back; it counts from `status.provisionedAt`",
    ),
    "ForeignScaler": (
        "An HPA or ScaledObject that is not ours scales the Deployment; the number is left to it",
        'Delete it, or hand it over: annotation `prism.io/adopt: "true"`, under our name',
    ),
    "Healthy": ("The backend answers by its own protocol", "–"),
    "NamespaceCreated": ("The proxy has the namespace as the spec says", "–"),
    "NoAdmin": (
        "The stack of the namespace's proxy has no admin, and nobody else provisions namespaces",
        "Set `spec.admin` of the stack",
    ),
    "NotImplemented": (
        "The admin does not know the call",
        "Run an admin that provisions namespaces",
    ),
    "PatternNotFound": (
        "The proxy was told of patterns, or their backends, by name only",
        "Create what the message names, or correct `spec.patterns`",
    ),
    "PatternsFound": ("The proxy was told of every pattern with its settings", "–"),
    "ProxyEnds": ("The namespace's stack is gone, and its proxy is about to be", "–"),
    "ProxyNotAStacks": (
        "`spec.proxyRef` names a Service that is no stack's proxy",
        "Name `<stack>-proxy`; to let go of a deleted one, `deletionPolicy: Retain`",
    ),
    "ProxyNotAllowed": (
        "The stack does not let namespaces in from here",
        "List this one in `spec.allowedNamespaces` of the stack",
    ),
    "ProxyNotFound": (
        "There is no such proxy",
        "Create the stack, or correct `spec.proxyRef`",
    ),
    "ProxyNotWatched": (
        "The proxy is in a namespace that the operator was told not to watch",
        "Add it to `--watch-namespaces`; to let go of a deleted one, take the finalizer off",
    ),
    "ProxyNotRegistered": (
        "No proxy has registered with the admin yet; it is asked again within a minute",
        "If it stays: look at the proxy's log",
    ),
    "Provisioning": ("The proxy is being told", "–"),
    "QuotasApplied": ("The proxy was told the quotas", "–"),
    "LeftToAnother": (
        "An Event: not revoked, since another PrismNamespace has the same namespace",
        "–",
    ),
    "NotRevoked": (
        "An Event: the admin does not implement revocation; the object is gone all the same",
        "Look on the proxy whether the namespace is still there",
    ),
    "ProxyGone": ("An Event: not revoked, since the proxy is gone for good", "–"),
    "Retained": ("An Event: not revoked, as `deletionPolicy: Retain` says", "–"),
    "Revoked": ("An Event: the namespace left the proxy; with what the admin said of it", "–"),
    "Rejected": (
        "The admin understood, and refuses; the message says what it said",
        "Correct the spec as it says",
    ),
    "Revoking": ("The admin is asked to take the namespace off the proxy", "–"),
    "StackInvalid": ("The stack of the namespace's proxy breaks a rule", "Correct the stack"),
    "TtlEnds": (
        "The `ttl` ends within a day, or a tenth of it",
        "Set a longer `ttl` if the namespace is to stay",
    ),
    "InMemory": ("The backend is the runners' own memory: there is nothing to check", "–"),
    "Inline": ("`spec.backendConfig` holds the settings itself", "–"),
    "InvalidSpec": (
        "The spec breaks a rule that the API server did not check; what runs is left alone",
        "Correct the field the message names",
    ),
    "KedaNotInstalled": (
        "KEDA is asked for and not installed; the number of replicas stays",
        "Install KEDA; it is noticed within 40 s",
    ),
    "MalformedUrl": (
        "The backend's URL leads nowhere",
        "Correct it in the spec, or in the Secret",
    ),
    "MoreReplicasThanPartitions": (
        "Consumers beyond the number of a Kafka topic's partitions have nothing to read",
        "Lower `maxReplicas`, or add partitions; a warning, nothing is held back",
    ),
    "MonitorsInPlace": ("Every component has its PodMonitor", "–"),
    "NameConflict": (
        "An object of that name exists and is somebody else's; it is not touched",
        'Delete or rename it, or hand it over: annotation `prism.io/adopt: "true"` on it',
    ),
    "NameNotResolved": (
        "The backend's host name has no address",
        "Correct the URL, or create the Service",
    ),
    "NoNodeMatches": (
        "No node matches now; one that is added later may",
        "Add or label nodes, or correct nodeSelector and tolerations",
    ),
    "NoPermission": (
        "What has to be looked at cannot be read",
        "Grant get, list and watch: [what it may do](../how-to/install.md#what-it-may-do)",
    ),
    "NoneDeclared": ("The spec names no backends, namespaces, patterns or quotas", "–"),
    "NoneReferenced": ("The pattern names no PrismBackend", "–"),
    "NoRoute": (
        "There is no way to the backend's address",
        "Look at networks and NetworkPolicies between the operator and the backend",
    ),
    "NotChecked": (
        "Nobody looks at it, so nothing is known: checks are off, or this version has none",
        "–",
    ),
    "NotEnabled": ("Autoscaling, or observability, was switched off", "–"),
    "NotFound": (
        "The backend has no database, virtual host or queue of that name",
        "Create it, or correct the URL's path",
    ),
    "NotServing": (
        "The backend answers that it cannot serve: it starts, recovers, is full",
        "Look at the backend",
    ),
    "NotReady": (
        "A backend or namespace of the stack is not ready",
        "Look at the one the message names",
    ),
    "Paused": (
        "Writes are held back; the message counts them",
        "Remove the annotation: `kubectl annotate … prism.io/paused-`",
    ),
    "PlacementIneffective": (
        "The strategy cannot do what it promises, as MultiZone with one zone selected",
        "Correct nodeSelector, affinity or strategy as the message says",
    ),
    "PlacementNotAllowed": (
        "`nodeName` or a `system-*` priority class is set; it is left out",
        "Remove it, or run the operator with `--allow-privileged-placement`",
    ),
    "PlacementUnsatisfiable": (
        "The nodes there are can never take the pods: labels, number, or size",
        "Label or add nodes, or ask for less, as the message says",
    ),
    "ProgressDeadlineExceeded": (
        "A rollout makes no progress: an image that cannot be pulled, a crash, a failing probe",
        "`kubectl describe pod`, and the logs of the newest pods",
    ),
    "PrometheusOperatorNotInstalled": (
        "Observability is on, and there is no Prometheus operator to read a PodMonitor",
        "Install it, it is noticed within 40 s; or read the metrics another way",
    ),
    "ProtocolError": (
        "What listens at the backend's address speaks another protocol",
        "Correct `spec.provider` or the URL; TLS where none is expected looks like this too",
    ),
    "Ready": ("An Event: Ready again, or for the first time", "–"),
    "Repaired": ("An Event: somebody changed or deleted what is ours, and it was set back", "–"),
    "ReplicaFailure": (
        "Pods cannot be created: a quota, a policy, a ServiceAccount that is missing",
        "Correct what the message names",
    ),
    "ReplicasUnavailable": (
        "The rollout was complete, and pods have been lost since",
        "Usually nothing; else look at nodes and pods",
    ),
    "Resolved": ("There was reason for this condition, and there is none any more", "–"),
    "Retrying": ("A write failed for a reason that passes, and is tried again", "–"),
    "RolloutInProgress": ("Pods are being created or replaced, or a child is being written", "–"),
    "ScalerInPlace": ("The HPA or ScaledObject is there; the message has its bounds", "–"),
    "ScalerNotReady": (
        "The scaler says that it cannot work, and gives no reason of its own",
        "`kubectl describe hpa` or `scaledobject`",
    ),
    "SecretNotReachable": (
        "The backend's Secret is in another namespace than the pattern's pods",
        "Put a PrismBackend with its Secret into the pattern's namespace",
    ),
    "SecretKeyMissing": (
        "The backend's Secret lacks a key, or what is under it is not text",
        "Add the key that the message names; it is read again within a minute",
    ),
    "SecretNotAllowed": (
        "The backend's Secret is in another namespace, and its owner has not consented",
        "Annotation `prism.io/allowed-namespaces` on the Secret, with the backend's namespace",
    ),
    "SecretNotFound": (
        "The backend's Secret does not exist, or the operator may not read it",
        "Create it; it is looked for again every minute",
    ),
    "TLSFailed": (
        "The backend and the operator find no way to encrypt",
        "Look whether the backend speaks TLS at this port, and which versions",
    ),
    "Timeout": (
        "No answer came within `spec.healthCheck.timeout`",
        "Look at the backend, and at NetworkPolicies that drop packets",
    ),
    "TriggerInvalid": ("See the type of that name", "Add the metadata that the message names"),
    "WaitingForOldScaler": (
        "The former scaler is being deleted; the new one is made when it is gone",
        "If it stays: whoever set the finalizer in the message is not running",
    ),
    "WaitingForReplicas": (
        "An HPA does nothing at 0 replicas; it is made once there are some",
        "–",
    ),
    # Of a write that will fail until somebody does something: the API server's answer.
    Reason.FORBIDDEN.value: (
        "The API server refuses a write: RBAC, a quota, an admission policy",
        "The message has its words; for RBAC: `make manifests`, `kubectl apply -f config/rbac/`",
    ),
    Reason.INVALID.value: (
        "The API server or a webhook refuses an object as invalid",
        "Correct the field the message names",
    ),
    Reason.NO_KIND.value: ("A CRD is missing", "Install it: `make install` for ours"),
    Reason.UNAUTHORIZED.value: (
        "The operator's credentials are not accepted",
        "Look at its ServiceAccount and kubeconfig",
    ),
}

# Reasons that are no constants in planning: named after their type, or what the API server answers.
_HANDED_ON: Final = frozenset(
    {
        conditions.PLACEMENT_UNSATISFIABLE,
        conditions.PLACEMENT_INEFFECTIVE,
        *(r.value for r in (Reason.FORBIDDEN, Reason.INVALID, Reason.NO_KIND)),
        Reason.UNAUTHORIZED.value,
    }
)


def render_conditions() -> str:
    """The page, in Markdown.

    Raises:
        ValueError: when a type or reason of the planner is not told, or one is told that is none.
    """
    _compare("condition types", set(TYPES), _types_in_code())
    _compare("reasons", set(REASONS), {*reasons_in_code(), *_HANDED_ON})
    types = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in TYPES.items())
    reasons = "".join(
        f"| `{name}` | {meaning} | {remedy} |\n"
        for name, (meaning, remedy) in sorted(REASONS.items())
    )
    header = "| Reason | What it means | What to do |\n|---|---|---|\n"
    handed_on = (
        "\nA stack repeats the reasons of its patterns. A scaler's reasons are those of the HPA or "
        "ScaledObject; a Deployment's own, such as `FailedCreate`, stands for `ReplicaFailure`.\n"
    )
    return f"{_INTRODUCTION}{types}{_REASONS}{header}{reasons}{handed_on}"


def _types_in_code() -> set[str]:
    return {
        value
        for name, value in vars(conditions).items()
        if name.isupper()
        and isinstance(value, str)
        and name not in ("NOT_CHECKED", "CHECK_PENDING", "INVALID_SPEC")
    }


def _compare(noun: str, told: set[str], given: set[str]) -> None:
    if missing := sorted(given - told):
        raise ValueError(f"{noun} not told in {__name__}: {', '.join(missing)}")
    if gone := sorted(told - given):
        raise ValueError(f"{noun} that planning no longer gives: {', '.join(gone)}")
