"""The fixture ``cluster`` of pytest: a simulated cluster for users' own tests.

Loaded into every pytest where this package is installed, so it imports nothing until it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from simulator import Cluster

MARKER = "prism_cluster"


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(scenario=None, *, seed=None, params=None, **keys): what the fixture cluster is "
        "made of: a scenario, its params, and keys of a scenario file such as "
        'cluster={"pools": {"base": {"count": 6}}}',
    )


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster with the operator in it, in virtual time; at the end no promise may be broken.

    Three nodes in three zones, or what the marker ``prism_cluster`` says.
    """
    from simulator import Cluster

    marker = request.node.get_closest_marker(MARKER)
    made = Cluster(*marker.args, **marker.kwargs) if marker else Cluster()
    yield made
    if made.violations:
        pytest.fail("\n".join(made.violations), pytrace=False)
