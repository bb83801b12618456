"""The chart's files, without helm: versions, defaults, and the metrics that monitoring asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from charts.dashboard import ROWS, build_dashboard
from charts.generate import CHART, generated_files
from prism_operator import __version__
from prism_operator.adapters.metrics import METRICS
from prism_operator.api.meta import Json

ROOT = Path(__file__).parents[2]
# Labels that Prometheus gives every target, and those it makes of a histogram.
OF_TARGET = {"namespace", "job", "pod"}
OF_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
ALERTS = yaml.safe_load((ROOT / CHART / "files" / "alerts.yaml").read_text())
OURS = 'namespace="prism-system", job="prism"'


EXPORTED = (
    {spec.name: {*spec.labels} for spec in METRICS if spec.type != "histogram"}
    | {
        f"{spec.name}_{part}": {*spec.labels, "le"}
        for spec in METRICS
        if spec.type == "histogram"
        for part in ("bucket", "count", "sum")
    }
    | {name: set() for name in OF_PROCESS}
)


QUERIES = [
    *((alert["alert"], alert["expr"].replace("OURS", OURS)) for alert in ALERTS),
    *(
        # Grafana puts a duration there.
        (panel["title"], target["expr"].replace("$__rate_interval", "5m"))
        for panel in build_dashboard()["panels"]
        for target in panel.get("targets", ())
    ),
]


def selectors(expression: Any) -> Iterator[promql_parser.VectorSelector]:
    """Every series that a query selects."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs", "args", "vector_selector"):
        below = getattr(expression, name, None)
        for part in below if isinstance(below, list) else [below] if below is not None else []:
            yield from selectors(part)


def grouped(query: str) -> set[str]:
    """The labels that a query sums by."""
    return {
        label.strip()
        for labels in re.findall(r"\bby \(([^)]*)\)", query)
        for label in labels.split(",")
    }


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_every_query_selects_metrics_of_this_operator_and_of_no_other(
    title: str, query: str
) -> None:
    found = list(selectors(promql_parser.parse(query)))

    assert found
    for selector in found:
        assert selector.name in EXPORTED, f"{title}: no such metric"
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert {"namespace", "job"} <= labels, f"{title}: also matches other operators'"
        assert labels <= EXPORTED[selector.name] | OF_TARGET, f"{title}: no such label"
        assert grouped(query) <= EXPORTED[selector.name] | OF_TARGET, f"{title}: no such label"


def test_every_alert_says_what_it_means_and_has_its_section_in_the_guide() -> None:
    guide = (ROOT / "docs" / "how-to" / "alerts.md").read_text()

    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description"} <= alert["annotations"].keys()
        assert f"\n## {alert['alert']}\n" in guide
    sections = re.findall(r"^## (Prism\w+)$", guide, re.MULTILINE)
    assert sections == [alert["alert"] for alert in ALERTS]


def test_the_dashboard_s_panels_do_not_overlap_and_explain_themselves() -> None:
    panels = build_dashboard()["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells
    assert all(panel.description.endswith(".") for _, row in ROWS for panel in row)
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_chart_and_operator_have_one_version() -> None:
    chart = yaml.safe_load((ROOT / CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (__version__, f"v{__version__}")


def test_every_value_is_described_has_a_default_and_nothing_unknown_passes() -> None:
    def check(path: str, schema: Json) -> None:
        for name, value in schema["properties"].items():
            assert value["description"].strip().endswith((".", "`")), f"{path}{name}"
            if "default" not in value:
                assert value["additionalProperties"] is False, f"{path}{name}"
                check(f"{path}{name}.", value)

    schema = json.loads((ROOT / CHART / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
    check("", schema)


def test_a_crd_is_kept_when_its_release_goes() -> None:
    crds = [
        yaml.load(text, yaml.CSafeLoader)
        for path, text in generated_files(ROOT).items()
        if path.parent.name == "crds"
    ]

    assert len(crds) == 4
    for crd in crds:
        assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
