"""Online weights keep their bounds against an adversary, and count only what was settled before the bar."""

import numpy as np
import pytest

from tradewind.errors import BadParameters
from tradewind.learning.ensemble.online import AdaHedge, Bernstein, Hedge, OnlineRule, settled_weights

RULES = (Hedge(0.5), AdaHedge(), AdaHedge(0.01), Bernstein())


def regret(rule: OnlineRule, losses: np.ndarray) -> np.ndarray:
    """What the mixture lost beyond the best expert; losses are (sequences, rounds, experts)."""
    state = rule.begin(losses[:, 0].shape)
    suffered = np.zeros(len(losses))
    for one in losses.transpose(1, 0, 2):
        suffered += (rule.weights(state) * one).sum(axis=-1)
        state = rule.update(state, one)
    return np.asarray(suffered - losses.sum(axis=1).min(axis=-1))


def adversary(rule: OnlineRule, sequences: int, rounds: int, experts: int) -> np.ndarray:
    """Sequences that punish: the heaviest, the leader so far, experts in turn, or at random, mixed by a seed each."""
    rng = np.random.default_rng(0)
    kind, random = rng.integers(0, 4, sequences), rng.random((rounds, sequences, experts))
    state, total = rule.begin((sequences, experts)), np.zeros((sequences, experts))
    out = np.empty((sequences, rounds, experts))
    for number in range(rounds):
        loss = (random[number] < 0.5).astype(float)
        heaviest = rule.weights(state).argmax(axis=1)
        leader = total.argmin(axis=1)
        for place, hit in enumerate((heaviest, leader, np.full(sequences, number % experts))):
            mine = kind == place
            loss[mine] = 0.0
            loss[mine, hit[mine]] = 1.0
        out[:, number] = loss
        total += loss
        state = rule.update(state, loss)
    return out


@pytest.mark.parametrize("experts", [2, 10])
def test_hedge_keeps_its_bound_on_a_thousand_adversarial_sequences(experts: int) -> None:
    rounds = 400
    rule = Hedge.over(rounds, experts)
    found = regret(rule, adversary(rule, 1000, rounds, experts))
    bound = np.sqrt(rounds * np.log(experts) / 2)
    assert len(found) == 1000
    assert (found <= bound + 1e-9).all()
    # The sequences do press: a rule that follows the leader breaks the bound on them.
    greedy = Hedge(1e3)
    assert (regret(greedy, adversary(greedy, 1000, rounds, experts)) > bound).any()


def test_adahedge_keeps_its_bound_without_knowing_the_length() -> None:
    rounds, experts = 400, 5
    found = regret(AdaHedge(), adversary(AdaHedge(), 500, rounds, experts))
    assert (found <= np.sqrt(rounds * np.log(experts)) + 16 / 3 * np.log(experts) + 2).all()


def test_bernstein_pays_little_where_one_expert_is_clearly_better() -> None:
    rng = np.random.default_rng(1)
    losses = rng.random((50, 2000, 5))
    losses[:, :, 0] *= 0.5
    assert regret(Bernstein(), losses).mean() < 20
    assert regret(Bernstein(), losses).mean() < 0.5 * np.sqrt(2000 * np.log(5) / 2)


def test_a_share_finds_an_expert_that_becomes_good_late() -> None:
    losses = np.zeros((1, 2000, 2))
    losses[:, :1000, 1], losses[:, 1000:, 0] = 1.0, 1.0
    assert regret_of_tail(AdaHedge(0.01), losses) < 0.2 * regret_of_tail(AdaHedge(), losses)


def regret_of_tail(rule: OnlineRule, losses: np.ndarray) -> float:
    state, suffered = rule.begin(losses[:, 0].shape), 0.0
    for number, one in enumerate(losses.transpose(1, 0, 2)):
        suffered += float((rule.weights(state) * one).sum()) if number >= 1000 else 0.0
        state = rule.update(state, one)
    return suffered


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_twenty_useless_experts_cost_little(rule: OnlineRule) -> None:
    rng = np.random.default_rng(2)
    losses = np.clip(0.7 + 0.1 * rng.standard_normal((1, 1500, 21)), 0, 1)
    losses[:, :, 7] = np.clip(losses[:, :, 7] - 0.2, 0, 1)
    assert regret(rule, losses)[0] <= np.sqrt(1500 * np.log(21) / 2)


def rows(count: int = 300, horizon: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    losses = np.random.default_rng(3).random((count, 4))
    timestamp = np.arange(count, dtype=np.int64)
    return losses, timestamp, timestamp + horizon


def unsettled_weights(rule: OnlineRule, losses: np.ndarray) -> np.ndarray:
    """The planted leak: every row's loss counts from the next bar on, before its label is settled."""
    bars = np.arange(len(losses), dtype=np.int64)
    return settled_weights(rule, losses, bars, bars)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_is_not_settled_before_the_bar_moves_no_weight(rule: OnlineRule) -> None:
    losses, timestamp, exit_time = rows()
    found = settled_weights(rule, losses, timestamp, exit_time)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    for place in (20, 150, 299):
        other = losses.copy()
        other[exit_time >= timestamp[place]] = np.random.default_rng(4).random(4)
        again = settled_weights(rule, other, timestamp, exit_time)
        np.testing.assert_array_equal(again[: place + 1], found[: place + 1])
        leak = unsettled_weights(rule, losses)[: place + 1]
        assert not np.array_equal(unsettled_weights(rule, other)[: place + 1], leak)


def test_a_label_that_settles_at_the_bar_itself_comes_too_late() -> None:
    losses = np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    bars = np.arange(3, dtype=np.int64)
    found = settled_weights(Hedge(1.0), losses, bars, np.array([1, 9, 9]))
    np.testing.assert_allclose(found[:2], 0.5)
    assert found[2, 1] > 0.7


def test_outcomes_count_in_the_order_in_which_they_settle_and_not_in_that_of_the_forecasts() -> None:
    """The first forecast settles last: what settled meanwhile counts, and the first does not yet."""
    losses = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    bars, exit_time = np.arange(5, dtype=np.int64), np.array([4, 2, 2, 9, 9], dtype=np.int64)
    found = settled_weights(Hedge(1.0), losses, bars, exit_time)
    np.testing.assert_allclose(found[:3], 0.5)
    # The two that settle at 2 count as one, by their mean; at 5 the first would make them even.
    np.testing.assert_allclose(found[3:], np.tile([1 / (1 + np.e), np.e / (1 + np.e)], (2, 1)))
    even = settled_weights(Hedge(1.0), losses, np.r_[bars[:4], 5], exit_time)
    np.testing.assert_allclose(even[4], 0.5)


def test_an_expert_that_says_nothing_keeps_its_share_and_all_silent_change_nothing() -> None:
    losses, timestamp, exit_time = rows()
    for rule in RULES:
        late = losses.copy()
        late[:100, 3] = np.nan
        found = settled_weights(rule, late, timestamp, exit_time)
        assert np.isfinite(found).all() and (found[110, 3] > 0)
        silent = losses.copy()
        silent[50:] = np.nan
        found = settled_weights(rule, silent, timestamp, exit_time)
        np.testing.assert_array_equal(found[70:], np.broadcast_to(found[70], found[70:].shape))


def test_rates_and_shares_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadParameters, match="must be positive"):
        Hedge(0.0)
    with pytest.raises(BadParameters, match="must be in"):
        AdaHedge(1.0)
