"""KEDA scales what asks for it, as soon as it is there, and never beside an HPA."""

from __future__ import annotations

from e2e import keda
from e2e.promises.operator import Operator
from e2e.promises.scaled_pattern import KAFKA, NAME, Pattern, hpa, with_keda
from e2e.stacks import assert_equal
from e2e.waiting import throughout

# The operator asks for a missing CRD every 30 to 37.5 s.
PROBED_S = 60.0


def test_keda_is_waited_for_and_used_once_it_is_there(pattern: Pattern, operator: Operator) -> None:
    pattern.apply(replicas=3, **with_keda())
    pattern.until(lambda: pattern.condition("ScalerReady")["reason"] == "KedaNotInstalled")
    assert pattern.replicas() == 3

    with keda.installed(pattern.cluster):
        pattern.until(lambda: pattern.exists("scaledobject"), within_s=PROBED_S)
        assert pattern.replicas() == 3
        assert pattern.condition("ScalerReady")["status"] == "True"


def test_between_keda_and_hpa_there_is_never_more_than_one(
    pattern: Pattern, keda_crds: None, operator: Operator
) -> None:
    pattern.apply(replicas=3, **with_keda())
    pattern.until(lambda: pattern.exists("scaledobject"))
    # As KEDA does: until it lets go, its scaler is there.
    hold = '{"metadata": {"finalizers": ["finalizer.keda.sh/test"]}}'
    scaled = ("scaledobject", NAME, pattern.place, "--type=merge")
    pattern.cluster.kubectl("patch", *scaled, f"--patch={hold}")

    pattern.apply(replicas=3, **hpa())
    pattern.until(lambda: pattern.condition("ScalerReady")["reason"] == "WaitingForOldScaler")
    throughout(lambda: assert_equal(pattern.exists("hpa"), False), for_s=2)

    pattern.cluster.kubectl("patch", *scaled, '--patch={"metadata": {"finalizers": null}}')
    pattern.until(lambda: pattern.exists("hpa"))
    assert not pattern.exists("scaledobject")
    assert pattern.replicas() == 3

    pattern.apply(replicas=3, **with_keda())
    pattern.until(lambda: pattern.exists("scaledobject"))
    assert not pattern.exists("hpa")
    assert pattern.replicas() == 3


def test_a_secret_gets_a_trigger_authentication(
    pattern: Pattern, keda_crds: None, operator: Operator
) -> None:
    secret = ("create", "secret", "generic", "credentials", "--from-literal=username=u")
    pattern.cluster.kubectl(*secret, pattern.place)
    trigger = {**KAFKA, "authenticationRef": {"name": "credentials"}}

    pattern.apply(maxReplicas=6, triggers=[trigger])

    pattern.until(lambda: pattern.exists("scaledobject"))
    made = pattern.cluster.get("triggerauthentication", f"{NAME}-trigger-auth", pattern.place)
    assert made["spec"]["secretTargetRef"] == [
        {"parameter": "username", "name": "credentials", "key": "username"}
    ]
