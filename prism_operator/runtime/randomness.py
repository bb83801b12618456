"""Randomness in named streams, so that one more draw here moves no draw elsewhere."""

from __future__ import annotations

import hashlib
import random


class Streams:
    """Generators by name, the same for one seed in every process and under any PYTHONHASHSEED."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[tuple[str, ...], random.Random] = {}

    def stream(self, *names: str) -> random.Random:
        """The generator of this name; every call continues the one stream."""
        stream = self._streams.get(names)
        if stream is None:
            # Lengths keep ("ab", "c") and ("a", "bc") apart.
            text = "".join(f"{len(part)}:{part}" for part in (str(self.seed), *names))
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            stream = self._streams[names] = random.Random(seed)
        return stream

    def drop(self, *names: str) -> None:
        """Forgets a stream that is no longer needed; asked for again, it starts anew."""
        self._streams.pop(names, None)
