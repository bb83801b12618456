"""The Prism operator: a pure planner behind a thin applier, run by a loop that a test can step."""

__version__ = "0.1.0"
