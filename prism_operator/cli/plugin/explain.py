"""``kubectl prism explain``: why is this not Ready?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from prism_operator.cli.plugin.cluster import OperatorNamespaceFlag, find_object, open_cluster
from prism_operator.cli.plugin.console import OUT, print_document
from prism_operator.cli.plugin.flags import (
    ContextFlag,
    KubeconfigFlag,
    NamespaceFlag,
    Output,
    OutputFlag,
)
from prism_operator.diagnosis.diagnose import diagnose
from prism_operator.diagnosis.findings import Diagnosis
from prism_operator.diagnosis.text import diagnosis_text

EXIT_NOT_READY = 1


def explain(
    target: Annotated[str, typer.Argument(metavar="KIND/NAME", help="prismstack/shop, or shop.")],
    namespace: NamespaceFlag = None,
    output: OutputFlag = Output.TEXT,
    operator_namespace: OperatorNamespaceFlag = None,
    kubeconfig: KubeconfigFlag = None,
    context: ContextFlag = None,
) -> None:
    """Say why an object is not Ready: the cause first, the evidence, what to do."""
    with open_cluster(kubeconfig, context, namespace, operator_namespace) as cluster:
        obj = find_object(cluster.gatherer, target, cluster.namespace)
        diagnosis = diagnose(cluster.gatherer.facts_about(obj))
    if output is Output.TEXT:
        _show(diagnosis)
    else:
        print_document(diagnosis.as_json(), output)
    raise typer.Exit(0 if diagnosis.is_ready else EXIT_NOT_READY)


def _show(diagnosis: Diagnosis) -> None:
    first, _, rest = diagnosis_text(diagnosis).partition("\n")
    colour = "green" if diagnosis.is_ready else "yellow" if diagnosis.ready == "Unknown" else "red"
    OUT.print(Text(first, style=f"bold {colour}"))
    OUT.print(Text(rest), end="")
