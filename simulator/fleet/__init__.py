"""The engine for fleets: thousands of nodes, days in seconds."""

from simulator.fleet.engine import (
    FleetResult,
    FleetSimulation,
    FleetSpec,
    Group,
    NodeLoss,
    Numbers,
    Policies,
    Times,
)
from simulator.fleet.scenario import fleet_of

__all__ = [
    "FleetResult",
    "FleetSimulation",
    "FleetSpec",
    "Group",
    "NodeLoss",
    "Numbers",
    "Policies",
    "Times",
    "fleet_of",
]
