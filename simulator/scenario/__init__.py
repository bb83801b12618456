"""Scenario files: a question, a cluster, what happens in it, and what is expected.

Every key is known, every value checked; what is wrong is said with file, line and column.
"""

from simulator.scenario.files import LoadedScenario, Manifest, load, load_manifests
from simulator.scenario.model import Scenario

__all__ = ["LoadedScenario", "Manifest", "Scenario", "load", "load_manifests"]
