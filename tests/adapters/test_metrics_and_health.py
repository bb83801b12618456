"""Metrics under the names dashboards know, and the endpoints probes ask."""

from __future__ import annotations

import re
import socket
from contextlib import closing

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from prism_operator.adapters.clock import SystemClock
from prism_operator.adapters.health import HealthServer, metrics_page, verdict_page
from prism_operator.adapters.listener import parse_address
from prism_operator.adapters.metrics import METRICS, PrometheusMetrics
from prism_operator.api.meta import DEPLOYMENT
from prism_operator.ports import Census, Clock, Metrics, ObjectCounts


def samples(metrics):
    """Every sample as name → {labels as text: value}."""
    found = {}
    for family in text_string_to_metric_families(metrics.expose().decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def _counts(stacks):
    return ObjectCounts(stacks, {("hpa", "Pending"): 4}, {}, {}, {}, {})


class TestMetrics:
    def test_each_call_stands_behind_the_name_that_dashboards_know(self):
        metrics = PrometheusMetrics()
        port: Metrics = metrics
        port.reconciled("prismstack", "success", 0.02)
        port.reconciled("prismstack", "error", 0.02)
        port.queue_changed("prismstack", 4)
        port.queue_added("prismstack")
        port.queue_retried("prismstack")
        port.queue_waited("prismstack", 0.5)
        port.workers_active("prismstack", 2)
        port.wrote("apply", DEPLOYMENT, "ok")
        port.leading("prism-operator", True)

        found = samples(metrics)

        ours, queue = "controller=prismstack", "controller=prismstack,name=prismstack"
        reconciles = found["controller_runtime_reconcile_total"]
        assert {labels: n for labels, n in reconciles.items() if ours in labels} == {
            f"{ours},result=success": 1,
            f"{ours},result=error": 1,
            f"{ours},result=requeue": 0,
            f"{ours},result=requeue_after": 0,
        }
        assert found["controller_runtime_reconcile_errors_total"][ours] == 1
        assert found["controller_runtime_reconcile_time_seconds_count"] == {ours: 2}
        buckets = found["controller_runtime_reconcile_time_seconds_bucket"]
        assert (buckets[f"{ours},le=0.01"], buckets[f"{ours},le=0.025"]) == (0, 2)
        assert found["controller_runtime_active_workers"] == {ours: 2}
        assert found["workqueue_depth"] == {queue: 4}
        assert found["workqueue_adds_total"] == {queue: 1}
        assert found["workqueue_retries_total"] == {queue: 1}
        assert found["workqueue_queue_duration_seconds_sum"] == {queue: 0.5}
        assert found["leader_election_master_status"] == {"name=prism-operator": 1}
        assert found["prism_operator_writes_total"] == {
            "group=apps,kind=Deployment,result=ok,verb=apply": 1
        }

        port.leading("prism-operator", False)
        assert samples(metrics)["leader_election_master_status"] == {"name=prism-operator": 0}

    def test_two_operators_in_one_process_do_not_share_them(self):
        first, second = PrometheusMetrics(), PrometheusMetrics()
        first.queue_added("prismstack")

        assert "workqueue_adds_total" not in samples(second)

    def test_an_operator_is_counted_when_it_is_scraped(self):
        metrics = PrometheusMetrics()
        stacks = {"Running": 1}
        metrics.count_with(lambda: Census(_counts(stacks), cached={"Node": 3}))
        assert samples(metrics)["prism_stacks"] == {"phase=Running": 1}

        stacks["Running"] = 2
        found = samples(metrics)
        assert found["prism_stacks"] == {"phase=Running": 2}
        assert found["prism_patterns"] == {"phase=Pending,scaler=hpa": 4}
        assert found["prism_operator_cache_objects"] == {"kind=Node": 3}

    def test_who_does_not_lead_tells_nothing_about_objects_but_all_about_itself(self):
        metrics = PrometheusMetrics()
        metrics.count_with(lambda: Census(watch_restarts={("Node", "Gone"): 2}))
        found = samples(metrics)

        assert "prism_stacks" not in found
        assert found["prism_operator_watch_restarts_total"] == {"kind=Node,reason=Gone": 2}

    def test_names_help_and_types_are_as_promtool_wants_them(self):
        metrics = PrometheusMetrics()
        metrics.count_with(lambda: Census(_counts({"Running": 1}), {"Node": 1}, {}, {"Node": 0.0}))
        families = {f.name: f for f in text_string_to_metric_families(metrics.expose().decode())}

        for spec in METRICS:
            family = families[spec.name.removesuffix("_total")]
            assert (family.type, family.documentation) == (spec.type, spec.help)
            assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", spec.name)
            assert spec.name.endswith("_total") == (spec.type == "counter")
            assert not re.search(r"_(count|sum|bucket|milliseconds|ms|minutes|kb|mb)$", spec.name)
            assert not spec.help.endswith(".")
            assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in spec.labels)
            assert not {"le", "quantile", "namespace", "pod", "instance"} & set(spec.labels)
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == set(spec.labels)
        assert len({spec.name for spec in METRICS}) == len(METRICS)

    def test_no_series_is_there_that_the_reference_does_not_list(self):
        own = {spec.name.removesuffix("_total") for spec in METRICS}
        names = {
            f.name for f in text_string_to_metric_families(PrometheusMetrics().expose().decode())
        }

        assert {n for n in names if not n.startswith(("process_", "python_"))} <= own

    def test_the_process_tells_its_memory(self):
        assert samples(PrometheusMetrics())["process_resident_memory_bytes"][""] > 1e6


class TestHealth:
    @pytest.fixture
    def reasons(self):
        return []

    @pytest.fixture
    def server(self, reasons):
        def broken():
            raise RuntimeError("secret detail")

        pages = {
            "/healthz": verdict_page(lambda: reasons),
            "/metrics": metrics_page(PrometheusMetrics().expose),
            "/broken": broken,
        }
        with closing(HealthServer("127.0.0.1:0", pages)) as server:
            yield server

    def get(self, server, path):
        with requests.Session() as session:
            return session.get(f"http://127.0.0.1:{server.port}{path}", timeout=5)

    def test_no_reason_against_is_ok(self, server):
        answer = self.get(server, "/healthz?verbose=1")

        assert (answer.status_code, answer.text) == (200, "ok\n")

    def test_every_reason_against_is_in_the_body(self, server, reasons):
        reasons += ["pods: heard nothing for 600 s", "lease: not renewed for 20 s"]

        answer = self.get(server, "/healthz")

        assert answer.status_code == 503
        assert answer.text == "pods: heard nothing for 600 s\nlease: not renewed for 20 s\n"

    def test_metrics_are_in_the_text_format(self, server):
        answer = self.get(server, "/metrics")

        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "prism_operator_build_info{" in answer.text

    def test_a_verdict_that_fails_is_500_without_details(self, server):
        answer = self.get(server, "/broken")

        assert answer.status_code == 500
        assert "secret detail" not in answer.text

    def test_an_unknown_path_lists_the_known_ones(self, server):
        answer = self.get(server, "/")

        assert answer.status_code == 404
        assert answer.text.split() == ["404", "Not", "Found", "/broken", "/healthz", "/metrics"]

    def test_head_has_no_body(self, server):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(b"HEAD /healthz HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))

        assert answer.startswith(b"HTTP/1.0 200 ")
        assert answer.endswith(b"\r\n\r\n")

    def test_without_a_host_both_protocols_are_served(self):
        with closing(HealthServer(":0", {"/healthz": verdict_page(list)})) as server:
            hosts = ["127.0.0.1", *(["[::1]"] if socket.has_dualstack_ipv6() else [])]
            for host in hosts:
                with requests.Session() as session:
                    url = f"http://{host}:{server.port}/healthz"
                    assert session.get(url, timeout=5).status_code == 200

    def test_an_address_that_is_taken_is_an_os_error(self, server):
        with pytest.raises(OSError, match="in use"):
            HealthServer(f"127.0.0.1:{server.port}", {})

    @pytest.mark.parametrize(
        ("address", "parsed"),
        [
            ("127.0.0.1:8081", ("127.0.0.1", 8081)),
            (":8081", ("", 8081)),
            ("[::1]:8081", ("::1", 8081)),
        ],
    )
    def test_an_address_is_host_and_port(self, address, parsed):
        assert parse_address(address) == parsed

    @pytest.mark.parametrize(
        "address", ["", "8081", "host", "host:", "host:http", "::1:1", ":65536"]
    )
    def test_what_is_no_address_is_said(self, address):
        with pytest.raises(ValueError, match=f'address "{address}": expected host:port'):
            parse_address(address)


def test_the_clock_is_aware_and_does_not_go_back():
    clock: Clock = SystemClock()

    assert clock.now().utcoffset().total_seconds() == 0
    assert clock.monotonic_s() <= clock.monotonic_s()
