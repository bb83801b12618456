"""Golden plans: for every sample, all objects that come of it, and what the statuses say.

``python -m tests.planning.goldens`` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from prism_operator.api.meta import PRISM_RESOURCES, Json, Ref, ref_of

from .world import World

ROOT = Path(__file__).parents[2]
SAMPLES = tuple(sorted((ROOT / "samples").glob("*.yaml")))
CREDENTIALS = ("kafka-credentials", "aws-credentials")
GOLDENS = Path(__file__).parent / "goldens"


def world_of(sample: Path) -> World:
    """A world that holds what the sample file declares."""
    objects = [obj for obj in yaml.safe_load_all(sample.read_text()) if obj]
    return World(*objects, *map(_secret, CREDENTIALS))


def _secret(name: str) -> Json:
    """Credentials that samples refer to and, rightly, do not hold."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "prism-system"},
        "data": {"username": "cHJpc20=", "password": "c2VjcmV0"},
    }


def render(sample: Path) -> str:
    """The golden of a sample: created objects, statuses at first and in the end, and Events."""
    world = world_of(sample)
    prism = [ref for ref in sorted(world.objects) if ref.resource in PRISM_RESOURCES]
    first = {str(ref): world.plan(ref).status for ref in prism}
    world.converge()
    created = sorted(world.created, key=ref_of)
    statuses = {
        str(ref): {"first": first.get(str(ref)), "converged": obj.get("status")}
        for ref, obj in sorted(world.objects.items())
        if ref.resource in PRISM_RESOURCES
    }
    events = [_event(ref, event.type, event.reason, event.message) for ref, event in world.events]
    summary = {"statuses": statuses, "events": events, "writes": world.writes}
    documents = [*created, summary]
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=100)


def created_objects(golden: str) -> list[Json]:
    """The objects in a golden."""
    return [document for document in yaml.safe_load_all(golden) if "apiVersion" in document]


def _event(ref: Ref, kind: str, reason: str, message: str) -> str:
    return f"{kind} {reason} {ref}: {message}"


class _Dumper(yaml.SafeDumper):
    """Repeats what occurs twice, for people who read it."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def main() -> None:
    GOLDENS.mkdir(exist_ok=True)
    for stale in set(GOLDENS.glob("*.yaml")) - {GOLDENS / sample.name for sample in SAMPLES}:
        stale.unlink()
    for sample in SAMPLES:
        (GOLDENS / sample.name).write_text(render(sample))
    print(f"{len(SAMPLES)} goldens in {GOLDENS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
