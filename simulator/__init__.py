"""A cluster in memory and in virtual time, in which the operator's own code runs.

For notebooks and tests: ``simulate`` runs a scenario, ``Cluster`` is one to walk through,
``Policy`` a Python function that scales. What is needed is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.inputs import BadInputError
    from simulator.python.cluster import Cluster
    from simulator.python.experiments import compare, runs_of, sweep
    from simulator.python.frames import Frames
    from simulator.python.policies import Observed, Policy, PolicyError
    from simulator.python.simulate import Expected, Simulated, simulate

__all__ = [
    "BadInputError",
    "Cluster",
    "Expected",
    "Frames",
    "Observed",
    "Policy",
    "PolicyError",
    "Simulated",
    "compare",
    "runs_of",
    "simulate",
    "sweep",
]

_HOME = {
    "BadInputError": "simulator.inputs",
    "Cluster": "simulator.python.cluster",
    "Expected": "simulator.python.simulate",
    "Frames": "simulator.python.frames",
    "Observed": "simulator.python.policies",
    "Policy": "simulator.python.policies",
    "PolicyError": "simulator.python.policies",
    "Simulated": "simulator.python.simulate",
    "compare": "simulator.python.experiments",
    "runs_of": "simulator.python.experiments",
    "simulate": "simulator.python.simulate",
    "sweep": "simulator.python.experiments",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith((__name__, "prism_operator")):
            raise
        told = f"the simulator needs {error.name}: pip install 'prism-operator[sim]'"
        raise ModuleNotFoundError(told, name=error.name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
