"""The control plane that ``prism-sim replay`` plays scenarios on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from e2e import keda as keda_crds
from e2e.build import BuildError
from e2e.cluster import ClusterError, KubectlError, LocalCluster
from e2e.operator_process import OperatorProcess, operator_kubeconfig
from simulator.inputs import BadInputError

_ROOT = Path(__file__).parent.parent


class Plane:
    """Implements ``simulator.replay``'s ``Plane``."""

    def __init__(self, cluster: LocalCluster, open_until_the_end: ExitStack) -> None:
        self._cluster, self._open = cluster, open_until_the_end
        self.kubeconfig = cluster.kubeconfig

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises BadInputError with what it complains about."""
        try:
            return self._cluster.kubectl(*args, stdin=stdin)
        except KubectlError as error:
            raise BadInputError([str(error)]) from None

    def start_operator(self) -> None:
        """Starts our operator; it is ready when this returns."""
        log = self._cluster.directory / "operator.log"
        flags = ("--no-leader-elect", "--no-check-backends")
        kubeconfig = operator_kubeconfig(self._cluster)
        operator = OperatorProcess(self._cluster, log, *flags, kubeconfig=kubeconfig)
        self._open.enter_context(operator).wait_until_ready()


@contextmanager
def control_plane(directory: Path, *, keda: bool) -> Iterator[Plane]:
    """Without nodes, with our CRDs and, if asked for, those of KEDA; gone at the end."""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(LocalCluster.start(directory, nodes=()))
            cluster.install_crds(_ROOT / "crds")
            if keda:
                cluster.install_crds(*keda_crds.crd_files())
        except (BuildError, ClusterError, KubectlError) as error:
            raise BadInputError([f"replay: no control plane: {error}"]) from None
        yield Plane(cluster, stack)
