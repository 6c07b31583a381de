"""Honesty's figures: the published examples, noise that must be called noise, and skill that must be called skill."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.errors import InvalidInput
from tradebus.performance.folds import judge_folds, walk_forward_folds
from tradebus.performance.overfitting import (
    ReturnMoments,
    deflated_sharpe,
    expected_best,
    minimum_years,
    moments,
    overfitting_probability,
)
from tradebus.performance.resampling import deepest_fall, shuffled, skipped


def test_the_published_example_of_the_deflated_sharpe():
    """Bailey and López de Prado 2014: 2.5 a year over five years of 250 days, skewness -3, kurtosis 10; 100 trials
    whose yearly Sharpe ratios vary by 1/2 make a threshold of 0.1132 a day, and leave 0.90; 46 trials leave 0.95."""
    one = ReturnMoments(2.5 / math.sqrt(250), -3.0, 10.0, 1250)
    assert math.sqrt(0.5 / 250) * expected_best(100) == pytest.approx(0.1132, abs=1e-4)
    assert deflated_sharpe(one, trials=100, trials_variance=0.5 / 250) == pytest.approx(0.9004, abs=1e-4)
    assert deflated_sharpe(one, trials=46, trials_variance=0.5 / 250) == pytest.approx(0.9505, abs=1e-4)


def test_the_published_example_of_the_minimum_length():
    """Bailey, Borwein, López de Prado and Zhu 2014: with five years no more than 45 tries, or a yearly Sharpe of 1 is
    expected of nothing; the length is below 2 ln N."""
    years = {trials: minimum_years(trials=trials, sharpe_per_year=1.0) for trials in (45, 46, 1_000)}
    assert years[45] == pytest.approx(5.0, abs=0.1)
    assert years[46] is not None
    assert years[1_000] is not None
    assert years[46] > (years[45] or 0)
    assert years[1_000] < 2 * math.log(1_000)
    assert minimum_years(trials=45, sharpe_per_year=-1.0) is None


def test_one_trial_is_the_probabilistic_sharpe_ratio():
    one = ReturnMoments(0.1, 0.0, 3.0, 101)
    assert deflated_sharpe(one, trials=1, trials_variance=0.0) == pytest.approx(
        NormalDist().cdf(0.1 * 10 / math.sqrt(1 + 0.5 * 0.01))
    )


def test_noise_is_called_noise_and_skill_skill():
    draws = np.random.default_rng(8)
    shares, deflated = [], []
    for _ in range(12):
        noise = draws.normal(0.0, 1.0, (480, 40))
        shares.append(overfitting_probability(noise, blocks=8).probability)
        ratios = noise.mean(axis=0) / noise.std(axis=0, ddof=1)
        best = moments(noise[:, ratios.argmax()])
        assert best is not None
        deflated.append(deflated_sharpe(best, trials=40, trials_variance=float(ratios.var(ddof=1))))
    assert 0.4 < np.mean(shares) < 0.6
    assert max(deflated) < 0.95
    noise[:, 7] += 0.5
    found = overfitting_probability(noise, blocks=8)
    assert found.probability == 0.0
    assert found.splits == 70
    ratios = noise.mean(axis=0) / noise.std(axis=0, ddof=1)
    best = moments(noise[:, 7])
    assert best is not None
    assert deflated_sharpe(best, trials=40, trials_variance=float(ratios.var(ddof=1))) > 0.99


def test_the_splits_are_those_of_a_plain_loop():
    from itertools import combinations

    draws = np.random.default_rng(3)
    profits = draws.normal(0.02, 1.0, (60, 5))
    parts, logits = np.split(profits, 6), []
    for chosen in combinations(range(6), 3):
        own = np.concatenate([parts[one] for one in chosen])
        other = np.concatenate([parts[one] for one in range(6) if one not in chosen])
        best = (own.mean(axis=0) / own.std(axis=0)).argmax()
        tested = other.mean(axis=0) / other.std(axis=0)
        rank = 1 + (tested < tested[best]).sum()
        logits.append(math.log(rank / (6 - rank)))
    found = overfitting_probability(profits, blocks=6)
    assert found.probability == pytest.approx(np.mean(np.array(logits) <= 0))


@pytest.mark.parametrize(
    ("shape", "blocks", "said"), [((64, 1), 8, "two sets"), ((64, 3), 7, "even"), ((10, 3), 8, "10 days")]
)
def test_too_little_to_judge_by_is_refused(shape, blocks, said):
    with pytest.raises(InvalidInput, match=said):
        overfitting_probability(np.zeros(shape), blocks=blocks)


@given(st.integers(40, 400), st.integers(1, 5), st.integers(0, 3), st.booleans())
def test_no_day_of_a_test_or_its_embargo_was_trained_on(days, folds, embargo, anchored):
    found = walk_forward_folds(days, folds=folds, embargo_days=embargo, anchored=anchored)
    assert len(found) == folds
    assert [fold.test[1] for fold in found[:-1]] == [fold.test[0] for fold in found[1:]]
    assert found[-1].test[1] == days
    for fold in found:
        assert fold.train[1] + embargo == fold.test[0]
        assert (fold.train[0] == 0) or not anchored


def test_what_was_best_before_is_judged_after():
    profits = np.random.default_rng(1).normal(0, 1, (90, 3))
    profits[:60, 1] += 3
    profits[60:, 2] += 3
    [first, second] = judge_folds(profits, walk_forward_folds(90, folds=2, embargo_days=2, anchored=True))
    assert (first.chosen, second.chosen) == (1, 1)
    assert first.rank == 1.0
    assert second.outside < second.inside
    assert second.rank < 1.0


def test_trades_in_other_orders_have_the_same_sum_and_other_ways_there():
    trades = [100, -50, 200, -300, 80, -10]
    found = shuffled(trades, runs=400, seed=1)
    assert set(found.net_paise) == {20}
    assert found.drawdown_paise[0] < found.drawdown_paise[-1] <= 360
    many = list(range(-60, 70))
    assert found == shuffled(trades, runs=400, seed=1)
    assert shuffled(many, runs=50, seed=1) != shuffled(many, runs=50, seed=2)
    assert deepest_fall(np.array(trades)) == 300


def test_missed_trades_change_the_sum():
    found = skipped([100] * 50 + [-90] * 50, missed=0.3, runs=300, seed=4)
    assert found.net_paise[0] < 350 < found.net_paise[-1]
    assert skipped([100, -20], missed=0.0, runs=5, seed=1).net_paise == (80,) * 5
    with pytest.raises(InvalidInput, match="share"):
        skipped([1], missed=1.5, runs=1, seed=1)
