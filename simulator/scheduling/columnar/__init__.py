"""The scheduler for thousands of nodes: its cache in columns, its rules over classes of pods."""

from simulator.scheduling.columnar.preemption import ColumnarPreemption, Room
from simulator.scheduling.columnar.scheduler import ColumnarScheduler, Decision

__all__ = ["ColumnarPreemption", "ColumnarScheduler", "Decision", "Room"]
