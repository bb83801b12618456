"""The Grafana dashboard: a table of panels, laid out in rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

# controller-runtime's names are those of many operators: these labels tell ours from them.
_OURS: Final = 'namespace="$namespace", job="$job"'
_COLUMNS: Final = 24
_HEIGHT: Final = 7
_WINDOW: Final = "$__rate_interval"
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph: queries by their legends, with ``OURS`` for the labels of this operator."""

    title: str
    description: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = 8
    kind: str = "timeseries"


ROWS: Final = (
    (
        "Prism",
        (
            Panel(
                "Stacks",
                "PrismStacks by phase.",
                (("{{phase}}", "sum by (phase) (prism_stacks{OURS})"),),
                width=6,
            ),
            Panel(
                "Patterns",
                "PrismPatterns by scaler and phase.",
                (("{{scaler}} {{phase}}", "sum by (scaler, phase) (prism_patterns{OURS}) > 0"),),
                width=6,
            ),
            Panel(
                "Backends",
                "PrismBackends by provider and health.",
                (
                    (
                        "{{provider}} {{health}}",
                        "sum by (provider, health) (prism_backends{OURS}) > 0",
                    ),
                ),
                width=6,
            ),
            Panel(
                "Namespaces",
                "PrismNamespaces by phase.",
                (("{{phase}}", "sum by (phase) (prism_namespaces{OURS})"),),
                width=6,
            ),
            Panel(
                "Bad conditions",
                "Objects with a condition that tells of something bad. Their messages say what.",
                (
                    (
                        "{{kind}} {{condition}}",
                        "sum by (kind, condition) (prism_conditions{OURS}) > 0",
                    ),
                ),
                width=12,
            ),
            Panel(
                "Rollouts",
                "Objects with a rollout under way.",
                (("{{kind}}", "sum by (kind) (prism_rollouts_in_progress{OURS})"),),
                width=12,
            ),
        ),
    ),
    (
        "Operator",
        (
            Panel(
                "Leader",
                "Who holds the Lease. Exactly one should.",
                (("{{pod}}", "leader_election_master_status{OURS}"),),
            ),
            Panel(
                "CPU",
                "Cores used.",
                (("{{pod}}", f"rate(process_cpu_seconds_total{{OURS}}[{_WINDOW}])"),),
            ),
            Panel(
                "Memory",
                "Resident memory.",
                (("{{pod}}", "process_resident_memory_bytes{OURS}"),),
                unit="bytes",
            ),
        ),
    ),
    (
        "Work",
        (
            Panel(
                "Passes",
                "Passes a second, by controller and result.",
                (
                    (
                        "{{controller}} {{result}}",
                        "sum by (controller, result) "
                        f"(rate(controller_runtime_reconcile_total{{OURS}}[{_WINDOW}]))",
                    ),
                ),
                unit="ops",
            ),
            Panel(
                "Errors",
                "Passes a second that ended in an error, and objects tried again.",
                (
                    (
                        "errors {{controller}}",
                        "sum by (controller) "
                        f"(rate(controller_runtime_reconcile_errors_total{{OURS}}[{_WINDOW}]))",
                    ),
                    (
                        "retries {{controller}}",
                        f"sum by (controller) (rate(workqueue_retries_total{{OURS}}[{_WINDOW}]))",
                    ),
                ),
                unit="ops",
            ),
            Panel(
                "Duration of a pass",
                "Half, and all but one in a hundred, take at most this long.",
                tuple(
                    (
                        f"p{percent} {{{{controller}}}}",
                        f"histogram_quantile({percent / 100}, sum by (controller, le) (rate("
                        f"controller_runtime_reconcile_time_seconds_bucket{{OURS}}[{_WINDOW}])))",
                    )
                    for percent in (50, 99)
                ),
                unit="s",
            ),
            Panel(
                "Queue",
                "Objects that wait for a worker.",
                (("{{controller}}", "sum by (controller) (workqueue_depth{OURS})"),),
            ),
            Panel(
                "Waiting in the queue",
                "All but one change in a hundred wait at most this long.",
                (
                    (
                        "{{controller}}",
                        "histogram_quantile(0.99, sum by (controller, le) (rate("
                        f"workqueue_queue_duration_seconds_bucket{{OURS}}[{_WINDOW}])))",
                    ),
                ),
                unit="s",
            ),
            Panel(
                "Busy workers",
                "Workers in use.",
                (
                    (
                        "{{controller}}",
                        "sum by (controller) (controller_runtime_active_workers{OURS})",
                    ),
                ),
            ),
        ),
    ),
    (
        "Kubernetes",
        (
            Panel(
                "Writes",
                "Objects written a second. At rest there are none.",
                (
                    (
                        "{{verb}} {{kind}} {{result}}",
                        "sum by (verb, kind, result) "
                        f"(rate(prism_operator_writes_total{{OURS}}[{_WINDOW}]))",
                    ),
                ),
                unit="ops",
                width=12,
            ),
            Panel(
                "API requests",
                "Requests a second by answer; `<error>` had none.",
                (
                    (
                        "{{method}} {{code}}",
                        "sum by (method, code) "
                        f"(rate(rest_client_requests_total{{OURS}}[{_WINDOW}]))",
                    ),
                ),
                unit="reqps",
                width=12,
            ),
        ),
    ),
)


def build_dashboard() -> Json:
    """The dashboard as Grafana imports it, for any Prometheus and any installation."""
    panels: list[Json] = []
    y = 0
    for title, row in ROWS:
        place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        y, x = y + 1, 0
        for panel in row:
            if x + panel.width > _COLUMNS:
                y, x = y + _HEIGHT, 0
            place = {"x": x, "y": y, "w": panel.width, "h": _HEIGHT}
            panels.append({**_panel(panel), "gridPos": place})
            x += panel.width
        y += _HEIGHT
    return {
        "uid": "prism-operator",
        "title": "Prism operator",
        "tags": ["prism"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": [{**panel, "id": number} for number, panel in enumerate(panels, 1)],
    }


def _panel(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _DATASOURCE,
                "expr": query.replace("OURS", _OURS),
                "legendFormat": legend,
            }
            for index, (legend, query) in enumerate(panel.queries)
        ],
    }


def _variables() -> list[Json]:
    def values(label: str, matching: str) -> Json:
        query = f"label_values(prism_operator_build_info{matching}, {label})"
        return {
            "name": label,
            "label": label.capitalize(),
            "type": "query",
            "datasource": _DATASOURCE,
            "query": {"query": query, "refId": label},
            "refresh": 2,
            "sort": 1,
        }

    source = {"name": "datasource", "label": "Prometheus", "type": "datasource"}
    return [
        {**source, "query": "prometheus"},
        values("namespace", ""),
        values("job", '{namespace="$namespace"}'),
    ]
