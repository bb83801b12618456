import subprocess
import sys

from prism_operator.runtime.randomness import Streams


def test_a_stream_goes_on_where_it_was() -> None:
    streams = Streams(7)
    first, second = (
        streams.stream("spot", "node-1").random(),
        streams.stream("spot", "node-1").random(),
    )

    fresh = Streams(7).stream("spot", "node-1")
    assert [first, second] == [fresh.random(), fresh.random()]


def test_one_more_node_moves_no_other_draw() -> None:
    few, many = Streams(7), Streams(7)
    many.stream("spot", "node-0").random()

    assert few.stream("spot", "node-1").random() == many.stream("spot", "node-1").random()


def test_names_are_not_run_together() -> None:
    streams = Streams(7)
    assert streams.stream("ab", "c").random() != streams.stream("a", "bc").random()


def test_draws_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from prism_operator.runtime.randomness import Streams;"
        "print(Streams(1).stream('backoff', 'PrismStack', 'ns', 'x').random())"
    )
    draws = {
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(draws) == 1
