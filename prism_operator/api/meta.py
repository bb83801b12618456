"""Names and coordinates of API objects: resources, references, and the few fields every object has.

An object is plain JSON (``Json``) everywhere outside ``adapters``. Nobody changes one that
came from a cache or a plan; whoever needs another builds a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]
ReadOnlyJson: TypeAlias = Mapping[str, Any]

GROUP = "prism.io"
VERSION = "v1alpha1"
FIELD_MANAGER = "prism-operator"
STATUS_FIELD_MANAGER = "prism-operator-status"
# Holds our finalizer, so that no apply of another manager of ours drops it.
FINALIZER_FIELD_MANAGER = "prism-operator-finalizer"
# Holds a Deployment's number of replicas from when it is no longer ours until a scaler sets it.
REPLICAS_FIELD_MANAGER = "prism-operator-replicas"


# Tuples, because they are the keys of everything: hashing and comparing them is most of what a pass
# over an object at rest does.
class Resource(NamedTuple):
    """A kind as the API serves it; ``group`` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``group/version``, or just the version for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, or of one object when ``name`` is given."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/".join([*parts, self.plural, *filter(None, [name, subresource])])


class Ref(NamedTuple):
    """The coordinates of one object; ``namespace`` is empty for a cluster-scoped one."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource.kind} {where}"


PRISM_STACK = Resource(GROUP, VERSION, "PrismStack", "prismstacks")
PRISM_NAMESPACE = Resource(GROUP, VERSION, "PrismNamespace", "prismnamespaces")
PRISM_PATTERN = Resource(GROUP, VERSION, "PrismPattern", "prismpatterns")
PRISM_BACKEND = Resource(GROUP, VERSION, "PrismBackend", "prismbackends")
PRISM_RESOURCES = (PRISM_STACK, PRISM_NAMESPACE, PRISM_PATTERN, PRISM_BACKEND)

DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments")
REPLICA_SET = Resource("apps", "v1", "ReplicaSet", "replicasets")
SERVICE = Resource("", "v1", "Service", "services")
SERVICE_ACCOUNT = Resource("", "v1", "ServiceAccount", "serviceaccounts")
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps")
SECRET = Resource("", "v1", "Secret", "secrets")
POD = Resource("", "v1", "Pod", "pods")
NODE = Resource("", "v1", "Node", "nodes", namespaced=False)
NAMESPACE = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
EVENT = Resource("events.k8s.io", "v1", "Event", "events")
ROLE = Resource("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
LEASE = Resource("coordination.k8s.io", "v1", "Lease", "leases")
POD_DISRUPTION_BUDGET = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
HORIZONTAL_POD_AUTOSCALER = Resource(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"
)
SCALED_OBJECT = Resource("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
TRIGGER_AUTHENTICATION = Resource(
    "keda.sh", "v1alpha1", "TriggerAuthentication", "triggerauthentications"
)
POD_MONITOR = Resource("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors")
CUSTOM_RESOURCE_DEFINITION = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
)
VALIDATING_WEBHOOK_CONFIGURATION = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)

RESOURCES = (
    *PRISM_RESOURCES,
    DEPLOYMENT,
    REPLICA_SET,
    SERVICE,
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    SECRET,
    POD,
    NODE,
    NAMESPACE,
    EVENT,
    ROLE,
    ROLE_BINDING,
    LEASE,
    POD_DISRUPTION_BUDGET,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
    POD_MONITOR,
    CUSTOM_RESOURCE_DEFINITION,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
_BY_API_VERSION_AND_KIND = {(r.api_version, r.kind): r for r in RESOURCES}


def resource_of(obj: ReadOnlyJson) -> Resource:
    """The resource of an object by its ``apiVersion`` and ``kind``; KeyError for an unknown one."""
    return _BY_API_VERSION_AND_KIND[obj["apiVersion"], obj["kind"]]


def find_resource(api_version: str, kind: str) -> Resource | None:
    """The resource of that name, if it is one we know."""
    return _BY_API_VERSION_AND_KIND.get((api_version, kind))


def ref_of(obj: ReadOnlyJson) -> Ref:
    """The coordinates of an object that carries its ``apiVersion`` and ``kind``."""
    meta = obj["metadata"]
    return Ref(resource_of(obj), meta.get("namespace", ""), meta["name"])


def uid_of(obj: ReadOnlyJson) -> str:
    """The object's uid, or ``""`` when it was never stored."""
    return str(obj["metadata"].get("uid", ""))


def controller_uid_of(obj: ReadOnlyJson) -> str | None:
    """The uid of the owner reference marked ``controller: true``, if there is one."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return None
