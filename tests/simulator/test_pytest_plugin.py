import pytest

from tests.simulator.builders import SAMPLES

pytest_plugins = "pytester"


def test_a_cluster_is_made_as_its_marker_says(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_plain(cluster):
            assert len(cluster.list("Node")) == 3

        @pytest.mark.prism_cluster(cluster={"pools": {"base": {"count": 5}}})
        def test_marked(cluster):
            cluster.advance("1m")
            assert len(cluster.list("Node")) == 5

        @pytest.mark.prism_cluster("gone.yaml")
        def test_gone(cluster):
            pass
        """
    )

    result = pytester.runpytest_inprocess("--strict-markers", "-Werror")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*BadInputError: gone.yaml: cannot be read: *"])


def test_a_broken_promise_fails_a_test_that_did_not_look(pytester: pytest.Pytester) -> None:
    (pytester.path / "samples").symlink_to(SAMPLES)
    pytester.makepyfile(
        """
        def test_blind(cluster):
            cluster.apply("samples/prism-dev.yaml")
            cluster.wait_ready("PrismStack/prism-dev")
            replica_set = cluster.list("ReplicaSet")[0]["metadata"]["name"]
            cluster.happen(scale={"target": f"ReplicaSet/{replica_set}", "replicas": 9})
        """
    )

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["broken promise surge at * add up to 9, over 2"])
