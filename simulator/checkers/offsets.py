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
        self._skipped = self._astray = self._again = 0.0
        topic.on_done = self._done

    def _done(self, done: Done) -> None:
        reached = self._reached.get(done.partition, 0.0)
        if done.begin > reached + _ROUNDING:
            earliest = self._topic.offsets()[done.partition].earliest
            self._skipped += done.begin - reached
            self._astray += max(0.0, done.begin - max(reached, earliest + 1))  # it is rounded down
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
        partitions = topic.offsets()
        lost = self._skipped + sum(
            max(0.0, p.earliest - self._reached.get(p.number, 0.0)) for p in partitions
        )
        if self._astray > _ROUNDING:
            yield f"{topic.name}: {self._astray:g} messages were skipped that the topic has still"
        elif abs(lost - topic.lost) > len(partitions):  # offsets are rounded down
            yield (
                f"{topic.name}: {lost:g} messages were deleted before they were done, "
                f"{topic.lost:g} are said to be lost to retention"
            )
        for partition in partitions:
            reached = max(self._reached.get(partition.number, 0.0), partition.earliest)
            if (partition.committed or 0) > reached + _ROUNDING:
                yield (
                    f"{topic.name}: offset {partition.committed} of partition {partition.number} "
                    f"is committed, only {reached:g} were done"
                )
