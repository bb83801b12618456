"""Hypothesis draws the same examples every time, and the machine may be busy."""

from hypothesis import settings

settings.register_profile("planning", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("planning")
