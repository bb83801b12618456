"""What an API server's refusal of an object means, read off its message."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prism_operator.diagnosis.findings import Remedy


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason for programs, the cause in words, and what to do."""

    reason: str
    text: str
    remedy: Remedy


Read = Callable[[re.Match[str], str, str], Refusal]


def read_refusal(message: str, namespace: str, path: str) -> Refusal | None:
    """The refusal that a message tells of; None for one that is not known.

    ``path`` is the field that the refused object comes from.
    """
    for pattern, read in _TABLE:
        if found := pattern.search(message):
            return read(found, namespace, path)
    return None


def _quota(found: re.Match[str], namespace: str, path: str) -> Refusal:
    name, asked, used, limit = found.groups()
    return Refusal(
        "QuotaExceeded",
        f"ResourceQuota {name} is used up: requested {asked}, used {used} of {limit}",
        Remedy(
            f"Raise the quota, or lower {path}.replicas or {path}.resources",
            (f"kubectl describe resourcequota {name} -n {namespace}",),
        ),
    )


def _quota_asks(found: re.Match[str], namespace: str, path: str) -> Refusal:
    name, what = found.groups()
    return Refusal(
        "QuotaExceeded",
        f"ResourceQuota {name} takes only pods that specify {what}",
        Remedy(
            f"Give {what} under {path}.resources, or add a LimitRange with defaults",
            (f"kubectl describe resourcequota {name} -n {namespace}",),
        ),
    )


def _limit_range(found: re.Match[str], namespace: str, path: str) -> Refusal:
    return Refusal(
        "LimitRange",
        f"a LimitRange refuses its resources: {found.group(0)}",
        Remedy(
            f"Change {path}.resources, or the LimitRange",
            (f"kubectl describe limitrange -n {namespace}",),
        ),
    )


def _limit_below_request(found: re.Match[str], namespace: str, path: str) -> Refusal:
    asked, resource, limit = found.groups()
    return Refusal(
        "LimitBelowRequest",
        f"it requests {resource} {asked}, more than its limit of {limit} "
        "(which a LimitRange sets where the spec has none)",
        Remedy(
            f"Change {path}.resources, or the LimitRange",
            (f"kubectl describe limitrange -n {namespace}",),
        ),
    )


def _pod_security(found: re.Match[str], namespace: str, path: str) -> Refusal:
    level, why = found.groups()
    return Refusal(
        "PodSecurity",
        f"the namespace admits only pods of the standard {level}: {why}",
        Remedy(
            f"Change {path}.podSecurityContext and {path}.securityContext, or the label "
            "pod-security.kubernetes.io/enforce of the namespace",
            (f"kubectl get namespace {namespace} --show-labels",),
        ),
    )


def _webhook_denied(found: re.Match[str], _namespace: str, path: str) -> Refusal:
    name, why = found.groups()
    return Refusal(
        "WebhookDenied",
        f"the admission webhook {name} denies it: {why.strip() or 'it gives no reason'}",
        Remedy(
            f"Change {path} so that the webhook admits it, or ask who runs the webhook",
            ("kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",),
        ),
    )


def _webhook_failed(found: re.Match[str], _namespace: str, _path: str) -> Refusal:
    name, why = found.groups()
    return Refusal(
        "WebhookFailed",
        f"the admission webhook {name} cannot be called: {why.strip()}",
        Remedy(
            "Mend the webhook's server, or remove its configuration when it is left over",
            ("kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",),
        ),
    )


def _policy(found: re.Match[str], _namespace: str, path: str) -> Refusal:
    name, why = found.groups()
    return Refusal(
        "PolicyDenied",
        f"the ValidatingAdmissionPolicy {name} denies it: {why.strip()}",
        Remedy(
            f"Change {path} so that the policy admits it, or ask who keeps the policy",
            (f"kubectl get validatingadmissionpolicy {name} -o yaml",),
        ),
    )


def _missing(noun: str, plural: str) -> Read:
    def read(found: re.Match[str], namespace: str, path: str) -> Refusal:
        name = found.group(1)
        where = f" -n {namespace}" if noun == "ServiceAccount" else ""
        return Refusal(
            f"{noun}Missing",
            f"{noun} {name} does not exist",
            Remedy(f"Create it, or correct {path}", (f"kubectl get {plural}{where}",)),
        )

    return read


def _namespace_ends(_found: re.Match[str], namespace: str, _path: str) -> Refusal:
    return Refusal(
        "NamespaceTerminating",
        f"namespace {namespace} is being deleted",
        Remedy("Use another namespace", (f"kubectl get namespace {namespace} -o yaml",)),
    )


def _rbac(found: re.Match[str], _namespace: str, _path: str) -> Refusal:
    user, verb, resource = found.groups()
    return Refusal(
        "NoPermission",
        f"{user} may not {verb} {resource}",
        Remedy(
            "Bring the operator's roles back",
            (
                "kubectl apply -f config/rbac/",
                f"kubectl auth can-i {verb} {resource} --as={shlex.quote(user)}",
            ),
        ),
    )


# The first that is found counts. From k8s.io/apiserver and its admission plugins.
_TABLE: Final[tuple[tuple[re.Pattern[str], Read], ...]] = (
    (
        re.compile(r"exceeded quota: ([^\s,]+), requested: (.*?), used: (.*?), limited: ([^;]*)"),
        _quota,
    ),
    (re.compile(r"failed quota: ([^\s:]+): must specify ([^;]*)"), _quota_asks),
    (
        re.compile(
            r"(?:minimum|maximum) [\w./-]+ usage per \w+ is [^.;\]]*|"
            r"[\w./-]+ max limit to request ratio per \w+ is [^.;\]]*"
        ),
        _limit_range,
    ),
    (
        re.compile(
            r'requests: Invalid value: "([^"]+)": must be less than or equal to (\w+) limit of '
            r"([^\s,;\]]+)"
        ),
        _limit_below_request,
    ),
    (re.compile(r'violates PodSecurity "([^":]+)[^"]*": (.*)'), _pod_security),
    (re.compile(r'admission webhook "([^"]+)" denied the request:?(.*)'), _webhook_denied),
    (re.compile(r'failed calling webhook "([^"]+)": (.*)'), _webhook_failed),
    (
        re.compile(r"ValidatingAdmissionPolicy '([^']+)' .*?denied request: (.*)"),
        _policy,
    ),
    (
        re.compile(r'serviceaccount "([^"]+)" not found'),
        _missing("ServiceAccount", "serviceaccounts"),
    ),
    (
        re.compile(r"no PriorityClass with name ([^\s]+) was found"),
        _missing("PriorityClass", "priorityclasses"),
    ),
    (
        re.compile(r'RuntimeClass "([^"]+)" not found'),
        _missing("RuntimeClass", "runtimeclasses"),
    ),
    (re.compile(r"because it is being terminated"), _namespace_ends),
    (
        re.compile(r'User "([^"]+)" cannot (\w+) resource "([^"]+)"'),
        _rbac,
    ),
)
