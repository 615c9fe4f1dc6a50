"""Forecasts of costs: that their intervals hold, what they refuse, and what a plan makes of them."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests.trading.execution.recordings.streams import random_stream, recorded
from tradewind.data.order_book.replay import apply_update, empty_levels, end_of_update
from tradewind.errors import BadData
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.forecasts.costs import (
    COST,
    FEATURES,
    FILL,
    LEARN,
    ONE_ORDER,
    POST_THEN_CROSS,
    TEST,
    CostForecast,
    Situation,
    Terms,
    calibration,
    features,
    fit_forecast,
)
from tradewind.trading.execution.forecasts.of_worlds import outcomes_of_books
from tradewind.trading.execution.forecasts.plan import Market, one_order_cost
from tradewind.trading.execution.forecasts.study import ForecastStudy, of_impact_world
from tradewind.trading.execution.recordings import policies
from tradewind.trading.execution.recordings.outcomes import situations
from tradewind.trading.execution.recordings.study import RecordingStudy, arrivals_in, carry_out
from tradewind.trading.execution.routing import VenueBook
from tradewind.trading.execution.slicing import Order, plan_slices
from tradewind.trading.execution.worlds.impact import ImpactWorld
from tradewind.trading.execution.worlds.order_book.executing import OrderBookWorld

TERMS = Terms("recordings", 10.0, 120, 2.0, 5.0)


def simulated(rows: int = 6_000, seed: int = 1, noise: float = 1.0) -> pd.DataFrame:
    """Outcomes whose walk the book shows, whose drift widens with volatility, and whose fills follow a score."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, len(FEATURES)))
    table = pd.DataFrame(x, columns=list(FEATURES))
    split = np.repeat([LEARN, "calibrate", TEST], [rows // 2, rows // 4, rows - rows // 2 - rows // 4])
    calm = 1.0 + 0.3 * np.tanh(table["volatility_bps"])
    walk = 2.0 + 0.5 * table["walk_now_bps"] + 0.1 * noise * rng.normal(size=rows)
    drift = noise * calm * rng.normal(size=rows)
    fill = (rng.random(rows) < 1 / (1 + np.exp(-(0.4 + table["log_queue"])))).astype(float)
    table = table.assign(source="x", way=POST_THEN_CROSS, split=split, block=np.arange(rows) // 4, impact=np.nan,
                         spread=0.5, walk=walk, drift=drift, fill=fill)  # fmt: skip
    return table.assign(**{COST: 5 - 3 * fill + table["spread"] + table["walk"] + table["drift"]})


def test_intervals_hold_and_means_are_better_than_one_for_all() -> None:
    outcomes = simulated()
    forecast = fit_forecast(outcomes, TERMS, np.random.default_rng(2))
    found = calibration(forecast, outcomes, np.random.default_rng(3)).set_index("part")
    for part in ("walk", "drift", COST):
        assert found.loc[part, "coverage"] == pytest.approx(0.9, abs=0.025)
    assert found.loc[FILL, "says"] == "holds"
    assert found.loc["walk", "error"] < 0.3 * found.loc["walk", "plain_error"]
    assert found.loc[FILL, "bias_low"] < 0 < found.loc[FILL, "bias_high"]


def test_intervals_that_do_not_hold_are_called_too_narrow() -> None:
    """What is judged is twice as noisy as what was learnt from, and its orders are met less often."""
    calm, wild = simulated(noise=1.0), simulated(seed=5, noise=2.0)
    wild["fill"] *= 0.8
    outcomes = pd.concat([calm[calm["split"] != TEST], wild[wild["split"] == TEST]])
    found = calibration(fit_forecast(outcomes, TERMS, np.random.default_rng(2)), outcomes, np.random.default_rng(3))
    says = found.set_index("part")["says"]
    assert says["drift"] == says["walk"] == "too narrow" and says[FILL] == "biased"


def test_few_blocks_say_nothing() -> None:
    outcomes = simulated().assign(block=lambda table: np.arange(len(table)) // 300)
    found = calibration(fit_forecast(outcomes, TERMS, np.random.default_rng(2)), outcomes, np.random.default_rng(3))
    assert found["says"].str.startswith("too few data to say: 5 blocks").all()


def test_the_test_part_is_not_learnt_from() -> None:
    outcomes = simulated()
    other = outcomes.copy()
    other.loc[other["split"] == TEST, ["walk", "drift", COST, *FEATURES]] *= 7.0
    one, two = (fit_forecast(each, TERMS, np.random.default_rng(2)) for each in (outcomes, other))
    assert one == two
    other.loc[other["split"] == LEARN, "walk"] *= 7.0
    assert fit_forecast(other, TERMS, np.random.default_rng(2)) != one


def test_a_forecast_is_a_document_and_nothing_else() -> None:
    forecast = fit_forecast(simulated(), TERMS, np.random.default_rng(2))
    document = json.loads(json.dumps(forecast.model_dump(mode="json")))
    assert CostForecast.model_validate(document) == forecast
    with pytest.raises(ValidationError, match="learnt_from"):
        CostForecast.model_validate(document | {"learnt_from": "both"})


def test_too_few_outcomes_and_shares_that_are_none_are_refused() -> None:
    with pytest.raises(BadData, match="20 outcomes for learning, 30 are needed"):
        fit_forecast(simulated(40), TERMS, np.random.default_rng(2))
    with pytest.raises(BadData, match="a share lies between 0 and 1"):
        fit_forecast(simulated().assign(fill=1.5), TERMS, np.random.default_rng(2))


@pytest.mark.parametrize("name", ["own_qty", "other_qty", "quantity", "half_spread_bps"])
def test_a_situation_without_a_book_has_no_features(name: str) -> None:
    good = Situation(*(np.ones(1) for _ in Situation._fields))
    assert np.isfinite(features(good)).all()
    for wrong in (np.nan, 0.0) if name != "half_spread_bps" else (np.nan,):
        with pytest.raises(BadData, match="book"):
            features(good._replace(**{name: np.array([wrong])}))


def test_the_forecast_of_a_world_holds_there() -> None:
    world = OrderBookWorld(steps=6, warm_events=200)
    outcomes = outcomes_of_books(world, (3, 8), "book", 800, 3)
    assert set(outcomes["way"]) == {ONE_ORDER, POST_THEN_CROSS} and outcomes["walk"].ge(-1e-9).all()
    forecast = fit_forecast(outcomes, TERMS._replace(learnt_from="worlds"), np.random.default_rng(2))
    found = calibration(forecast, outcomes, np.random.default_rng(3)).set_index(["way", "part"])
    cost = found.loc[(POST_THEN_CROSS, COST)]
    assert cost["coverage"] == pytest.approx(0.9, abs=0.05) and cost["error"] < cost["plain_error"]


def test_the_impact_of_slices_is_forecast() -> None:
    world = ImpactWorld(steps=8, temporary=1e-3, permanent=1e-4)
    row = of_impact_world("w", world, 100.0, 50.0, ForecastStudy(), 100, np.random.default_rng(1)).iloc[0]
    assert row["says"] == "holds" and row["error"] < 0.2 * row["plain_error"]


def learnt_from_streams() -> CostForecast:
    """A forecast of one order from a random recording's situations, with outcomes that are their own features."""
    table = simulated().assign(way=ONE_ORDER, fill=np.nan, spread=1.0, drift=lambda rows: 0.01 * rows["drift"])
    for number, name in enumerate(FEATURES):
        table[name] = np.linspace(-50.0, 50.0, len(table))[np.random.default_rng(number).permutation(len(table))]
    return fit_forecast(table, TERMS, np.random.default_rng(2))


ASK = VenueBook("v", np.array([100.005, 100.015]), np.array([5.0, 5.0]), opposite=99.995)
BID = VenueBook("v", np.array([99.995, 99.985]), np.array([4.0, 5.0]), opposite=100.005)
MARKET = Market(2.0, 0.1, 3.0)


def test_a_plan_states_the_cost_that_the_forecast_expects_and_else_the_formula() -> None:
    order, costs = Order(6.0, 100.0, 10.0), Costs()
    formula = plan_slices(order, costs, 3600.0)
    expected = one_order_cost(learnt_from_streams(), ASK, BID, 6.0, MARKET)
    assert expected.cost is not None and expected.interval[0] < expected.interval[1]
    assert expected.cost.total == pytest.approx(sum(expected.cost[1:])) and expected.cost.fee == 5.0
    plan = plan_slices(order, costs, 3600.0, expected.cost)
    assert plan.cost == expected.cost and plan.is_forecast and plan.slices == formula.slices
    assert not formula.is_forecast and plan_slices(order, costs, 3600.0, None) == formula


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"taken": ASK._replace(prices=ASK.prices[:0], sizes=ASK.sizes[:0])}, "nothing on this side"),
        ({"taken": ASK._replace(opposite=float("nan"))}, "other side of its book is empty"),
        ({"taken": ASK._replace(opposite=100.01)}, "crossed"),
        ({"taken": ASK._replace(age_s=9.0)}, "9 s old"),
        ({"own": BID._replace(sizes=np.array([np.nan, 5.0]))}, "no positive number"),
        ({"quantity": 11.0}, "holds 10 of 11 units"),
        ({"market": MARKET._replace(volatility_bps=1e4)}, "outside of what the forecast was trained on"),
    ],
)  # fmt: skip
def test_where_there_is_no_price_there_is_no_forecast(change: dict[str, object], reason: str) -> None:
    given: dict[str, object] = {"taken": ASK, "own": BID, "quantity": 6.0, "market": MARKET} | change
    found = one_order_cost(learnt_from_streams(), **given)  # type: ignore[arg-type]
    assert found.cost is None and reason in found.reason


def test_a_live_book_is_seen_as_the_replay_sees_it() -> None:
    """The situation of a venue's book is, feature by feature, that of the same book in a recording."""
    from tradewind.trading.execution.forecasts import plan

    stream = random_stream(3, seconds=13)
    recording, study = recorded(stream.depth, stream.trades), RecordingStudy(horizon_s=1, latency_ms=0, warm_s=10)
    arrivals = arrivals_in(recording, study)
    run = carry_out(recording, arrivals, policies.one_order, 1_200.0, study)
    seen = situations(recording, arrivals, run, study.horizon_ms)
    updates, levels, row = recording.updates, empty_levels(len(recording.updates.prices)), 0
    for number, (at, side) in enumerate(zip(*arrivals, strict=True)):
        while row < len(updates.time_ms) and updates.time_ms[row] < at:
            stop = end_of_update(updates, row)
            apply_update(updates, row, stop, True, levels)
            row = stop
        asks, bids = np.flatnonzero(levels.asks), np.flatnonzero(levels.bids)[::-1]
        ask = VenueBook("v", updates.prices[asks], levels.asks[asks])
        bid = VenueBook("v", updates.prices[bids], levels.bids[bids])
        market = Market(*(float(each[number]) for each in seen[-3:]))
        taken, own = (ask, bid) if side > 0 else (bid, ask)
        found = plan._situation(taken, own, float(seen.quantity[number]), market)
        np.testing.assert_allclose(np.ravel(found), [each[number] for each in seen], rtol=1e-9, atol=1e-9)
