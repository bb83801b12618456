"""What ``kubectl prism explain`` says of an operator that does not run, or has just begun to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.cluster import LocalCluster
from e2e.operator_process import OperatorProcess
from e2e.plugin import Prism, a_stack

StartOperator = Callable[..., OperatorProcess]


@pytest.fixture
def prism(local_cluster: LocalCluster, namespace: str) -> Prism:
    return Prism(local_cluster, namespace)


def test_an_operator_that_does_not_run_is_the_cause(
    prism: Prism, start_operator: StartOperator
) -> None:
    here = f"--leader-elect-namespace={prism.namespace}"
    running = start_operator("--leader-elect", here)
    prism.apply(spec=a_stack())
    prism.kubectl("wait", "--for=condition=Ready", "prismstack/shop", "--timeout=60s")
    running.stop()

    prism.apply(spec=a_stack(image="proxy:2"))

    prism.says(
        f"is not Ready: the operator is not running: its Lease {prism.namespace}/"
        "prism-operator-leader was released and not taken again"
    )


def test_without_a_trace_of_an_operator_that_is_the_cause(prism: Prism) -> None:
    prism.apply(spec=a_stack())

    prism.says("is not Ready: the operator is not running: there is neither a Lease")


def test_a_missing_secret_of_a_scaler_is_named(
    prism: Prism, keda_crds: None, operator: OperatorProcess
) -> None:
    trigger = {
        "type": "nats-jetstream",
        "metadata": {
            "natsServerMonitoringEndpoint": "nats:8222",
            "account": "$G",
            "stream": "s",
            "consumer": "c",
        },
        "authenticationRef": {"name": "nats-auth"},
    }
    scaling = {"enabled": True, "scaler": "keda", "maxReplicas": 3, "triggers": [trigger]}
    spec = {"pattern": "consumer", "backend": "nats", "autoscaling": scaling}
    prism.apply("PrismPattern", "orders", spec=spec)

    prism.says(
        f"PrismPattern {prism.namespace}/orders is Ready, but it is not scaled "
        "as its spec says: authenticationRef: ",
        "ppattern/orders",
        within_s=60,
    )
