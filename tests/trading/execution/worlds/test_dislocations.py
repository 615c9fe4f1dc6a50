"""Rules that trade a price difference, beside one who knows the future and in markets with nothing to trade."""

import itertools

import numpy as np
import pytest

from tradewind.errors import BadData
from tradewind.trading.execution.arbitrage.timing import (
    PairCosts,
    Rule,
    best_rule,
    calibrate,
    confirmed,
    threshold_rule,
)
from tradewind.trading.execution.worlds.dislocations import (
    DislocationWorld,
    Paths,
    Traded,
    clairvoyant_profit,
    draw,
    trade,
)

COSTS = PairCosts(transfer_steps=10)
WORLD = DislocationWorld(
    persistence=0.98, volatility_bps=0.5, jump_rate=0.01, jump_bps=40.0, fleeting_rate=0.02, fleeting_bps=20.0
)


def _learnt(world: DislocationWorld, seed: int) -> tuple[Rule, Rule, np.random.Generator]:
    generator = np.random.default_rng(seed)
    past = calibrate(draw(world, COSTS, 10, generator).quoted.ravel())
    return best_rule(past, COSTS), threshold_rule(past, COSTS), generator


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(each, marks=pytest.mark.depth) for each in (2, 3, 4))])
def test_the_rule_finds_more_at_no_more_losses_and_most_of_what_there_is(seed: int) -> None:
    rule, threshold, generator = _learnt(WORLD, seed)
    paths = draw(WORLD, COSTS, 60, generator)
    ours, best = trade(paths, rule, COSTS), clairvoyant_profit(paths, rule.mean, COSTS)
    assert ours.profit.sum() >= 0.7 * best.sum()
    assert (ours.profit <= best + 1e-9).all()
    plain = trade(paths, threshold, COSTS)
    assert ours.profit.sum() > plain.profit.sum() and 5 * ours.lost.sum() < plain.lost.sum()
    matched = _with_no_more_losses(paths, threshold, int(ours.lost.sum()))
    assert ours.won.sum() >= 1.25 * matched.won.sum()


def _with_no_more_losses(paths: Paths, threshold: Rule, most: int) -> Traded:
    """The threshold rule with the smallest margin at which it loses no more often."""
    for margin in range(0, 200, 2):
        units = np.where(threshold.grid > COSTS.side_bps + margin, threshold.units, 0.0)
        found = trade(paths, threshold._replace(units=units), COSTS)
        if found.lost.sum() <= most:
            return found
    raise AssertionError("there is no such margin")


def test_without_dislocations_nothing_is_executed() -> None:
    rule, _, generator = _learnt(WORLD, 1)
    still = trade(draw(WORLD.without_dislocations(), COSTS, 60, generator), rule, COSTS)
    usual = trade(draw(WORLD, COSTS, 60, generator), rule, COSTS)
    assert still.won.sum() + still.lost.sum() <= 0.01 * (usual.won.sum() + usual.lost.sum())


@pytest.mark.parametrize("world", [
    DislocationWorld(persistence=0.95, volatility_bps=1.0),
    DislocationWorld(persistence=0.0, volatility_bps=0.1, fleeting_rate=1.0, fleeting_bps=30.0),
])  # fmt: skip
def test_a_rule_that_saw_nothing_but_noise_says_that_there_is_nothing_to_do(world: DislocationWorld) -> None:
    rule, threshold, generator = _learnt(world, 2)
    assert np.isnan(rule.entry_bps())
    paths = draw(world, COSTS, 20, generator)
    assert trade(paths, rule, COSTS).profit.sum() == 0.0
    if world.fleeting_rate:  # what the usual rule makes of quotes that are gone when its order arrives
        assert trade(paths, threshold, COSTS).profit.sum() < -1000


def test_the_clairvoyant_is_the_best_of_all_choices_of_times() -> None:
    costs = PairCosts(transfer_steps=3, side_bps=5.0, refusal=0.2)
    quoted = np.random.default_rng(3).normal(0, 12, (4, 9))
    paths = Paths(quoted, np.random.default_rng(4).random(quoted.shape) < 0.2)
    for episode in range(4):
        total = 0.0
        for sign in (1.0, -1.0):
            fills = sign * quoted[episode]
            gains = np.where(paths.refused[episode], 0.0, costs.gain(fills, costs.best_size(fills)))
            choices = (
                chosen for count in range(4) for chosen in itertools.combinations(range(1, 9), count)
                if all(later - earlier >= 3 for earlier, later in itertools.pairwise(chosen))
            )  # fmt: skip
            total += max(sum(gains[at] for at in chosen) for chosen in choices)
        assert clairvoyant_profit(paths, 0.0, costs)[episode] == pytest.approx(total)


def test_a_rule_that_is_told_the_next_quote_is_noticed() -> None:
    rule, _, generator = _learnt(WORLD, 5)
    paths = draw(WORLD, COSTS, 60, generator)
    honest = trade(paths, rule, COSTS).profit.sum() / clairvoyant_profit(paths, rule.mean, COSTS).sum()
    # The next quote in place of the last: every jump and flicker is known a step early.
    deviations = paths.quoted - rule.mean
    told = np.concatenate([deviations[:, 1:], deviations[:, -1:]], axis=1)
    free, profit = np.zeros((2, 60)), np.zeros(60)
    for step, (which, sign) in itertools.product(range(told.shape[1] - 1), enumerate((1.0, -1.0))):
        fills = sign * told[:, step]
        units = np.where((step + 1 >= free[which]) & ~paths.refused[:, step + 1], COSTS.best_size(fills), 0.0)
        profit += COSTS.gain(fills, units)
        free[which] = np.where(units > 0, step + 1 + COSTS.transfer_steps, free[which])
    assert profit.sum() / clairvoyant_profit(paths, rule.mean, COSTS).sum() > 0.9 > honest


def test_a_later_quote_changes_nothing_that_was_read_before() -> None:
    quoted = np.random.default_rng(6).normal(0, 20, (3, 50))
    changed = quoted.copy()
    changed[:, 30:] += 100.0
    np.testing.assert_array_equal(confirmed(quoted)[:, :30], confirmed(changed)[:, :30])
    assert (confirmed(quoted)[:, 30:] != confirmed(changed)[:, 30:]).any()


@pytest.mark.parametrize("differences", [np.zeros(500), np.arange(50.0), np.full(500, np.nan)])
def test_a_past_that_shows_nothing_is_refused(differences: np.ndarray) -> None:
    with pytest.raises(BadData, match="finite price differences that move"):
        calibrate(differences)
