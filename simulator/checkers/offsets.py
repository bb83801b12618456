"""Every message of a topic is done, and what is done twice or never is accounted for."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.workloads.kafka import Done, KafkaTopic

_ROUNDING = 1e-3  # messages


class EveryOffsetOnce:
    """Keeps its own books of what members did with one topic, from what they say they did."""

    name = "every-offset-once"

    def __init__(self, topic: KafkaTopic) -> None:
        self._topic = topic
        self._reached: dict[int, float] = {}  # offset, by partition
        self._skipped = self._again = 0.0
        topic.on_done = self._done

    def _done(self, done: Done) -> None:
        reached = self._reached.get(done.partition, 0.0)
        self._skipped += max(0.0, done.begin - reached)
        self._again += max(0.0, min(done.end, reached) - done.begin)
        self._reached[done.partition] = max(reached, done.end)

    def violations(self) -> Iterable[str]:
        """What does not add up by now."""
        topic = self._topic
        if abs(self._again - topic.reprocessed) > _ROUNDING:
            yield (
                f"{topic.name}: {self._again:g} messages were done again, "
                f"{topic.reprocessed:g} are said to have been"
            )
        if self._skipped > topic.lost + _ROUNDING:
            yield (
                f"{topic.name}: {self._skipped:g} messages were skipped, "
                f"{topic.lost:g} are said to be lost to retention"
            )
        for partition in topic.offsets():
            reached = max(self._reached.get(partition.number, 0.0), partition.earliest)
            if (partition.committed or 0) > reached + _ROUNDING:
                yield (
                    f"{topic.name}: offset {partition.committed} of partition {partition.number} "
                    f"is committed, only {reached:g} were done"
                )
