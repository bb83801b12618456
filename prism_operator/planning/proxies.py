"""The stack behind a PrismNamespace's proxy: whether it may be used, where its admin listens."""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import DEPLOYMENT, PRISM_STACK, SERVICE, Json, Ref
from prism_operator.api.stack import PrismStack
from prism_operator.api.validation import InvalidObject
from prism_operator.planning.checks import Certificates
from prism_operator.planning.memo import parsed
from prism_operator.planning.names import admin_name, proxy_name
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.provisioning import Admin, MetricsEndpoint
from prism_operator.planning.resources.pod_template import METRICS_PORT_NAME, PORT_NAME
from prism_operator.planning.secret_data import ObstacleError, certificates_in

_PROXY_SUFFIX: Final = proxy_name("")


def proxy_of(namespace: Json) -> Ref:
    """The Service that a PrismNamespace names as its proxy."""
    proxy = namespace["spec"]["proxyRef"]
    own = namespace["metadata"].get("namespace", "")
    return Ref(SERVICE, proxy.get("namespace") or own, proxy["name"])


def stack_of(namespace: Json, cluster: Snapshot) -> Json | None:
    """The stack on whose proxy the PrismNamespace may be; None while it does not exist.

    Raises ObstacleError.
    """
    ref = proxy_of(namespace)
    service = cluster.get(ref)
    if service is None:
        raise ObstacleError("ProxyNotFound", f"spec.proxyRef: {ref} does not exist")
    name = _controlling_stack(service)
    if name is None:
        message = f"spec.proxyRef: {ref} is not a PrismStack's: name the Service <stack>-proxy"
        raise ObstacleError("ProxyNotAStacks", message)
    if name != _stack_name(ref):
        message = f"spec.proxyRef: {ref} is not a proxy: name {proxy_name(name)}"
        raise ObstacleError("ProxyNotAStacks", message)
    stack = cluster.get(Ref(PRISM_STACK, ref.namespace, name))
    own = namespace["metadata"].get("namespace", "")
    allowed = (stack or {"spec": {}})["spec"].get("allowedNamespaces") or ()
    if stack is not None and own != ref.namespace and own not in allowed:
        message = (
            f"spec.proxyRef: PrismStack {ref.namespace}/{name} is not for namespace {own}: list it"
            " in its spec.allowedNamespaces"
        )
        raise ObstacleError("ProxyNotAllowed", message)
    return stack


def admin_of(namespace: Json, cluster: Snapshot) -> Admin:
    """The control plane that the PrismNamespace is to be provisioned by. Raises ObstacleError."""
    ref = proxy_of(namespace)
    stack = stack_of(namespace, cluster)
    if stack is None:
        raise ObstacleError("ProxyNotFound", f"spec.proxyRef: the PrismStack of {ref} is gone")
    admin = admin_in(stack, cluster)
    if admin is None:
        message = f"spec.proxyRef: the PrismStack of {ref} has no admin: set its spec.admin"
        raise ObstacleError("NoAdmin", message)
    return admin


def metrics_of(namespace: Json, cluster: Snapshot) -> MetricsEndpoint | None:
    """Where the proxy serves metrics; None where its stack has observability off."""
    ref = proxy_of(namespace)
    service = cluster.get(ref)
    stack = cluster.get(Ref(PRISM_STACK, ref.namespace, _stack_name(ref)))
    if service is None or stack is None:
        return None
    section = parsed(stack, PrismStack).spec.enabled_observability
    if section is None:
        return None
    ports = {p.get("name"): p["port"] for p in (service.get("spec") or {}).get("ports") or ()}
    # Metrics have a port of their own only where it is another than the proxy's.
    port = ports.get(METRICS_PORT_NAME, ports.get(PORT_NAME))
    return None if port is None else MetricsEndpoint(f"{ref.name}.{ref.namespace}.svc", port)


def proxies_of(namespace: Json, cluster: Snapshot) -> int | None:
    """How many proxies there are; None when that is not known."""
    ref = proxy_of(namespace)
    deployment = cluster.get(Ref(DEPLOYMENT, ref.namespace, ref.name))
    return None if deployment is None else deployment["spec"].get("replicas")


def admin_to_leave(proxy: Ref, cluster: Snapshot) -> Admin | None:
    """The control plane that knows what is on a proxy; None when it is gone for good.

    It is while the proxy's Service still exists, or the stack does that would make it anew. Raises
    ObstacleError while that is so and it cannot be told where.
    """
    service = cluster.get(proxy)
    name = _stack_name(proxy)
    stack = cluster.get(Ref(PRISM_STACK, proxy.namespace, name)) if name else None
    goes = stack is None or bool(stack["metadata"].get("deletionTimestamp"))
    if service is None and goes:
        return None
    if stack is not None:
        # A control plane that left the spec took what it knew with it.
        return admin_in(stack, cluster)
    if service is not None and _controlling_stack(service) is None:
        message = (
            f"{proxy} is there, but no PrismStack that could tell of its admin: delete it, or set"
            " spec.deletionPolicy to Retain"
        )
        raise ObstacleError("ProxyNotAStacks", message)
    raise ObstacleError("ProxyEnds", f"the PrismStack of {proxy} is gone, and {proxy} follows it")


def admin_in(stack: Json, cluster: Snapshot) -> Admin | None:
    """Where the stack's admin listens; None when it has none. Raises ObstacleError."""
    try:
        model = parsed(stack, PrismStack)
    except InvalidObject as error:
        name = stack["metadata"]["name"]
        raise ObstacleError("StackInvalid", f"PrismStack {name} is not valid: {error}") from error
    admin = model.spec.enabled_admin
    if admin is None:
        return None
    tls: Certificates | None = None
    if admin.tls is not None and admin.tls.enabled:
        tls = Certificates()
        if admin.tls.secret_ref is not None:
            field = f"PrismStack {model.name}: spec.admin.tls.secretRef"
            tls = certificates_in(admin.tls.secret_ref, model.namespace, cluster, field=field)
    host = f"{admin_name(model.name)}.{model.namespace}.svc"
    return Admin((model.namespace, model.name), host, admin.service_port, tls)


def _stack_name(proxy: Ref) -> str:
    return proxy.name.removesuffix(_PROXY_SUFFIX) if proxy.name.endswith(_PROXY_SUFFIX) else ""


def _controlling_stack(service: Json) -> str | None:
    owners = service["metadata"].get("ownerReferences") or ()
    stacks = (o["name"] for o in owners if o.get("controller") and o["kind"] == PRISM_STACK.kind)
    return next(stacks, None)
