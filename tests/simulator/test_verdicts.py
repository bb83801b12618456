"""Every rule that keeps a verdict honest, with what would happen without it."""

import math
import random
from collections.abc import Sequence

import pytest

from simulator.experiments.verdicts import (
    ALPHA,
    Claim,
    Comparison,
    Observation,
    compare,
    confidence_sequence,
    holm,
    t_interval,
)

REPEATS = 1_000


def judged(
    differences: Sequence[float],
    margin: float = 1.0,
    *,
    base: float = 100.0,
    censored_baseline: int = 0,
    censored_variant: int = 0,
    more_is_better: bool = False,
) -> Comparison:
    pairs = [
        (Observation(base, i < censored_baseline), Observation(base + d, i < censored_variant))
        for i, d in enumerate(differences)
    ]
    return compare("lag", "other", pairs, margin, more_is_better=more_is_better)


def noise(seed: int, mean: float, sd: float, seeds: int = 40) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(mean, sd) for _ in range(seeds)]


@pytest.mark.parametrize(
    ("mean", "claim"),
    [(5, Claim.WORSE), (-5, Claim.BETTER), (0, Claim.EQUIVALENT), (1, Claim.INCONCLUSIVE)],
)
def test_a_claim_is_about_the_margin_not_about_zero(mean: float, claim: Claim) -> None:
    assert judged(noise(1, mean, 1.0, seeds=200)).claim is claim


def test_where_more_is_better_the_signs_turn() -> None:
    assert judged(noise(1, 5, 1.0), more_is_better=True).claim is Claim.BETTER


def test_a_constant_difference_needs_no_spread() -> None:
    assert judged([3.0] * 5).claim is Claim.WORSE
    assert judged([0.0] * 5).claim is Claim.EQUIVALENT
    assert judged([0.1 + 0.2 - 0.3] * 5, margin=0.5).claim is Claim.EQUIVALENT


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(REPEATS):
        _, low, high = t_interval(noise(seed, 3.0, 2.0, seeds=12))
        covered += low <= 3.0 <= high

    assert covered / REPEATS == pytest.approx(1 - ALPHA, abs=0.02)


def test_at_the_margin_itself_a_claim_is_false_in_five_percent_at_most() -> None:
    false = sum(
        judged(noise(seed, 1.0, 0.5)).claim is not Claim.INCONCLUSIVE for seed in range(REPEATS)
    )

    assert false / REPEATS <= ALPHA + 0.02


def test_many_metrics_do_not_add_up_to_a_false_alarm() -> None:
    """Ten metrics at their margin: alone each is fine, together one report in six is wrong."""
    alone = together = 0
    for seed in range(REPEATS // 5):
        found = [judged(noise(seed * 10 + i, 1.0, 1.0, seeds=12)) for i in range(10)]
        alone += any(c.claim is not Claim.INCONCLUSIVE for c in found)
        together += any(c.claim is not Claim.INCONCLUSIVE for c in holm(found))

    assert alone / (REPEATS // 5) > 0.1
    assert together / (REPEATS // 5) <= ALPHA + 0.02


def test_holm_is_what_its_paper_says() -> None:
    ps = (0.01, 0.04, 0.03, 0.005)
    found = judged([3.0, 3.1, 3.2])
    adjusted = holm(
        [Comparison(**{**{f: getattr(found, f) for f in Comparison.__slots__}, "p": p}) for p in ps]
    )

    assert [c.p for c in adjusted] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [c.claim for c in adjusted] == [
        Claim.WORSE,
        Claim.INCONCLUSIVE,
        Claim.INCONCLUSIVE,
        Claim.WORSE,
    ]


def test_a_handful_of_rare_events_is_no_verdict() -> None:
    """A t-interval over 20 seeds misses an effect that 5 % of all seeds have every second time."""
    rare = [0.0] * 19 + [30.0]
    assert judged(rare, margin=5).claim is Claim.INCONCLUSIVE
    assert "1 of 20 seeds" in judged([0.001 * i for i in range(19)] + [4.0], margin=3).remark


def test_seeds_that_differ_among_themselves_are_not_rare_events() -> None:
    assert judged(noise(2, 50, 8, seeds=20), margin=10).claim is Claim.WORSE


def test_what_was_unfinished_supports_only_what_it_cannot_refute() -> None:
    worse = noise(3, 10, 1)
    assert judged(worse, censored_variant=3).claim is Claim.WORSE
    assert judged(worse, censored_baseline=3).claim is Claim.INCONCLUSIVE
    assert judged([-d for d in worse], censored_baseline=3).claim is Claim.BETTER
    found = judged(noise(3, 0, 0.1), censored_variant=1)
    assert found.claim is Claim.INCONCLUSIVE
    assert "1 of the variant" in found.remark


def test_pairing_is_reported_as_it_was_achieved() -> None:
    rng = random.Random(5)
    shared = [rng.gauss(100, 10) for _ in range(50)]
    pairs = [(Observation(s), Observation(s + rng.gauss(2, 1))) for s in shared]

    found = compare("lag", "other", pairs, 1.0)
    assert found.correlation is not None
    assert found.correlation > 0.98
    shuffled = [(b, Observation(v)) for (b, _), v in zip(pairs, reversed(shared), strict=True)]
    unpaired = compare("lag", "other", shuffled, 1.0)
    assert unpaired.high - unpaired.low > 5 * (found.high - found.low)


def test_peeking_at_every_tenth_seed_gives_no_more_false_alarms_than_promised() -> None:
    t_alarms = alarms = 0
    repeats = 200
    for seed in range(repeats):
        values = noise(seed, 0.0, 1.0, seeds=200)
        looks = [values[:n] for n in range(10, 201, 10)]
        t_alarms += any(not low <= 0 <= high for _, low, high in map(t_interval, looks))
        alarms += any(not low <= 0 <= high for _, low, high in map(confidence_sequence, looks))

    assert t_alarms / repeats > 0.2
    assert alarms / repeats <= ALPHA + 0.02


def test_a_confidence_sequence_is_not_much_wider_than_an_interval() -> None:
    values = noise(1, 0.0, 1.0, seeds=100)
    _, low, high = confidence_sequence(values)
    _, t_low, t_high = t_interval(values)

    assert 1 < (high - low) / (t_high - t_low) < 2
    assert math.isclose(low + high, t_low + t_high, abs_tol=1e-12)
