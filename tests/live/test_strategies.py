"""Rules with a filter, and several strategies side by side: one net order a symbol, and a book for each."""

from typing import Any

import numpy as np
import pytest

from tests.live.conftest import simulated
from tests.live.strategies import Make, Reverting, opened, side_by_side, step_netted, wrap_twin
from tests.live.test_session import killed_and_back, records, step_bars, step_book
from tests.live.test_twin import check, live_through
from tradewind.errors import BadParameters
from tradewind.live.accounts.books import Books
from tradewind.live.checked_model import CheckedModel
from tradewind.trading.decision.filtering import FilteredPolicy, fold_filter
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.decision.together import Part, TogetherPolicy


def filtered(ruled: Any, rules: Any) -> FilteredPolicy:
    return FilteredPolicy(ruled("last_bar_reversal"), ForecastPolicy(Reverting(), rules, 0.5))


def together(ruled: Any, rules: Any) -> TogetherPolicy:
    return side_by_side("trend", ruled("time_series_momentum"), ruled, rules)


@pytest.mark.parametrize("wrapped", [filtered, together])
def test_the_twin_of_every_kind_is_its_later_backtest(
    make_runtime: Make, wrapped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bar by bar gives the bits of the whole history at once, with gaps."""
    bars, side = simulated(days=14, outages=4)
    wrap_twin(monkeypatch, wrapped)
    check(live_through(make_runtime, bars, side, 60))


def test_a_filter_opens_what_the_model_agrees_with_and_keeps_what_it_does_not_oppose() -> None:
    direction = np.array([0.0, 1, 1, 1, 1, 1, -1, -1, 0, 1, 1])
    edge = np.array([0.5, 0.05, 0.2, 0.0, -0.01, -0.05, -0.2, np.nan, 0.5, 0.1, 0.1])
    passed = fold_filter(0.0, 0.0, direction, edge, 0.1, 0.02)[2]
    np.testing.assert_array_equal(passed, [0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 1])
    for cut in range(1, len(edge)):
        before, passes, one = fold_filter(0.0, 0.0, direction[:cut], edge[:cut], 0.1, 0.02)
        two = fold_filter(before, passes, direction[cut:], edge[cut:], 0.1, 0.02)[2]
        np.testing.assert_array_equal(np.concatenate((one, two)), passed)


def test_what_the_filter_stops_is_told(make_runtime: Make) -> None:
    runtime, times = opened(make_runtime, filtered, 9, 60)
    for now in times[:60]:
        step_bars(runtime, now)
    decisions = records(runtime, "decision")
    stopped = [one for one in decisions if "filtered" in one["reasons"]]
    held = [one for one in decisions if one["target"] != 0]
    assert stopped and held and all(one["target"] == 0 for one in stopped)
    assert all(one["edge"] is not None for one in held)


def test_the_books_of_several_strategies_add_up_to_the_account(make_runtime: Make) -> None:
    runtime, times = opened(make_runtime, together, 9, 60)
    state = runtime.state

    def account_is_its_books() -> None:
        assert set(state.books.of) == {"trend", "reversal", "model"}
        worth = sum(book.equity(state.paper.marks) for book in state.books.of.values())
        assert worth == pytest.approx(state.paper.equity, abs=1e-6)

    step_netted(runtime, times[:70], account_is_its_books)
    assert sum(book.fees for book in state.books.of.values()) == pytest.approx(state.paper.fees)
    assert records(runtime, "crossed"), "what one buys of another needs no order"
    # Each book follows its own strategy, not the sum of all.
    told = [book.equity(state.paper.marks) for book in state.books.of.values()]
    assert len({round(one, 6) for one in told}) == 3
    again = killed_and_back(make_runtime, runtime)
    assert again.state.books == state.books
    again.operate("flatten", "ann", "over")
    prices = {one.symbol: round(one.close, 2) for one in times[69]}
    for minute in range(25, 30):
        step_book(again, prices, times[69][0].timestamp + minute * 60_000)
    assert not any(again.state.paper.units.values())
    for book in again.state.books.of.values():
        assert all(abs(units) < 1e-6 for units in book.units.values())


def test_a_strategy_alone_does_in_its_book_what_it_does_on_an_account_of_its_own(make_runtime: Make) -> None:
    """With two of the same strategy, each book is half of what one has."""

    def twice(ruled: Any, rules: Any) -> TogetherPolicy:
        rule = ruled("last_bar_reversal")
        return TogetherPolicy([Part("one", 0.5, rule), Part("two", 0.5, rule)])

    runtime, times = opened(make_runtime, twice, 9, 60)
    for now in times[:40]:
        step_bars(runtime, now)
    one, two = runtime.state.books.of.values()
    assert one.units == pytest.approx(two.units) and one.cash == pytest.approx(two.cash)
    assert one.equity(runtime.state.paper.marks) == pytest.approx(runtime.state.paper.equity / 2)


def test_shares_and_names_that_cannot_be_are_refused() -> None:
    rule: Any = None
    for parts in ([], [Part("a", 0.5, rule), Part("a", 0.5, rule)], [Part("a", 0.7, rule), Part("b", 0.4, rule)],
                  [Part("a", 0.0, rule)], [Part("a|b", 0.5, rule)]):  # fmt: skip
        with pytest.raises(BadParameters):
            TogetherPolicy(parts)


def test_a_fill_that_nobody_wants_goes_to_those_that_hold() -> None:
    books = Books.begin({"a": 0.5, "b": 0.25}, 1000.0)
    assert books.of["a"].cash == 750 and books.of["b"].cash == 250
    books.want("X", {"a": 3.0, "b": -1.0}, 10.0)
    assert books.of["a"].units == {"X": 1.0} and books.of["b"].units == {"X": -1.0}
    books.share_fill("X", 2.0, 10.0, 0.2)
    assert books.of["a"].units == {"X": 3.0} and books.of["a"].fees == pytest.approx(0.2)
    books.settle("X")
    books.share_fill("X", -2.0, 10.0, 0.2)  # a bracket leaves: of those that hold
    assert books.of["a"].units["X"] == pytest.approx(1.0) and books.of["b"].units["X"] == pytest.approx(-1.0)
    books.leave({"X": 11.0})
    assert [book.units["X"] for book in books.of.values()] == [0.0, 0.0]


class Failing(Reverting):
    """Says now and then what no model may say."""

    def __init__(self) -> None:
        self.asked = 0

    def predict_row(self, x: Any) -> Any:
        self.asked += 1
        wrong: list[Any] = [np.full(4, np.nan), np.array([5.0, -4.0, 0.0, 0.1]), np.zeros(3), None]
        if self.asked % 5:
            return super().predict_row(x)
        if (self.asked // 5) % 5 == 4:
            raise ZeroDivisionError
        return wrong[(self.asked // 5) % 5]


def test_a_model_that_fails_says_nothing_and_the_account_lives_on(make_runtime: Make) -> None:
    model = CheckedModel(Failing())
    runtime, times = opened(make_runtime, lambda ruled, rules: ForecastPolicy(model, rules, 0.5), 9, 60)
    for now in times[:40]:
        step_bars(runtime, now)
    decisions = records(runtime, "decision")
    silent = [one for one in decisions if "no_forecast" in one["reasons"]]
    assert len(decisions) == 120 and len(silent) >= 120 // 5 - 1
    assert all(one["target"] == 0 and one["edge"] is None for one in silent)
    assert set(model.refused) == {"not finite", "no probabilities", "ZeroDivisionError"}
    assert runtime.state.counts["fills"] > 5
