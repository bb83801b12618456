"""Whatever goes wrong between operator and API server, what was asked for is there afterwards."""

import pytest

from prism_operator.api.meta import DEPLOYMENT, PRISM_STACK, Json, Ref
from simulator.faults import Fault
from tests.simulator.builders import Story, a_stack

SHOP = Ref(PRISM_STACK, "default", "shop")
PROXY = Ref(DEPLOYMENT, "default", "shop-proxy")


def more_proxies(replicas: int = 5) -> Json:
    target = "PrismStack/shop"
    return {
        "at": "3m",
        "patch": {"target": target, "patch": {"spec": {"proxy": {"replicas": replicas}}}},
    }


def a_story(timeline: tuple[Json, ...], **scenario: object) -> Story:
    return Story(a_stack(), duration="12m", timeline=timeline, **scenario)


def replicas(story: Story) -> int:
    number: int = story.get(PROXY)["spec"]["replicas"]
    return number


@pytest.mark.parametrize("fault", list(Fault))
def test_an_edit_during_a_fault_is_carried_out_after_it_at_the_latest(fault: Fault) -> None:
    share = {"share": 0.5} if fault in (Fault.CONFLICT, Fault.LOST, Fault.THROTTLED) else {}
    slow = {"latency": "2s"} if fault is Fault.SLOW else {}
    upset = {"fault": fault.value, "for": "2m", **share, **slow}
    story = a_story(({"at": "2m", "apiServer": upset}, more_proxies()))

    story.wait(400)

    assert replicas(story) == 5
    assert story.lines(f"{fault} begins")
    assert story.lines(f"{fault} ends")
    story.finish()


@pytest.mark.parametrize("fault", [Fault.DOWN, Fault.UNAVAILABLE, Fault.STALE, Fault.SILENT])
def test_while_the_api_server_is_out_of_reach_nothing_is_written(fault: Fault) -> None:
    upset = {"fault": fault.value, "for": "2m"}
    story = a_story(({"at": "2m", "apiServer": upset}, more_proxies()))
    story.wait(120)
    before = story.writes

    story.wait(115)
    assert replicas(story) == 3
    assert story.writes == before

    story.wait(100)
    assert replicas(story) == 5


def test_an_answer_says_when_to_come_back() -> None:
    upset = {"fault": "throttled", "for": "30s", "retryAfter": "50s"}
    story = a_story(({"at": "2m50s", "apiServer": upset}, more_proxies()))

    story.wait(215)
    assert replicas(story) == 3  # the edit of 180 s was throttled; again after 50 s

    story.wait(30)
    assert replicas(story) == 5


def test_a_leader_that_is_cut_off_is_followed_by_the_other_replica() -> None:
    upset = {"fault": "down", "for": "5m", "replica": 0}
    story = a_story(({"at": "2m", "apiServer": upset}, more_proxies()), operator={"replicas": 2})
    story.wait(100)
    assert [o.works for o in story.simulation.operators] == [True, False]

    story.wait(120)

    assert [o.works for o in story.simulation.operators] == [False, True]
    assert replicas(story) == 5
    story.finish()


def test_calls_that_take_long_are_made_one_after_the_other() -> None:
    slow = {"fault": "slow", "latency": "20s", "for": "5m"}
    story = Story(
        a_stack(), duration="20m", timeline=({"at": "150s", "apiServer": slow}, more_proxies())
    )
    story.wait(185)
    before = story.writes
    story.wait(60)
    assert story.writes - before <= 4, "one every 20 seconds"
    story.wait(360)
    assert replicas(story) == 5
    story.finish()
