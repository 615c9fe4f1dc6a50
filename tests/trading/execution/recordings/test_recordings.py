"""Orders inside recorded books: what they pay, what books give no price, and that nothing knows the future."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.trading.execution.recordings.streams import (
    START_MS,
    book_at,
    depth_of,
    random_stream,
    recorded,
    trades_of,
)
from tradewind.data.order_book.events import BookRules
from tradewind.errors import BadData, BadParameters
from tradewind.trading.execution.forecasts.costs import FEATURES
from tradewind.trading.execution.recordings import outcomes, policies
from tradewind.trading.execution.recordings.forms import (
    DONE,
    DRIFT,
    HOLE,
    LAST_MIDDLE,
    MAKER,
    MAKER_VALUE,
    MIDDLE,
    NOT_OPEN,
    NOT_WHOLE,
    OPPORTUNITY,
    QUANTITY,
    SPREAD,
    STALE,
    STATUS,
    TAKER,
    TAKER_VALUE,
    WALK,
    Executions,
    Replayed,
)
from tradewind.trading.execution.recordings.outcomes import outcomes_in
from tradewind.trading.execution.recordings.recording import Reading, Recording, read_recording
from tradewind.trading.execution.recordings.replay import replay_orders
from tradewind.trading.execution.recordings.study import (
    PARTS,
    Fees,
    RecordingStudy,
    arrivals_in,
    carry_out,
    compare_recording,
)

QUIET = trades_of((0, 1.0, 1.0))  # far below every book here
SECOND = [(1000 * at, [(1, 1.0, float(at + 1))]) for at in range(1, 9)]  # a level far away changes each second


def run(
    recording: Recording, plan: policies.Plan, at_ms: int = 1_500, side: int = 1, value: float = 800.0,
    horizon_ms: int = 3_000, latency_ms: int = 0,
) -> np.ndarray:  # fmt: skip
    """One execution's result."""
    todo = policies.actions(plan, np.array([START_MS + at_ms]), horizon_ms, latency_ms)
    sides, values = np.array([side]), np.array([value])
    found: Replayed = replay_orders(
        recording.updates, recording.trades, recording.venue, Executions(sides, values), todo, 1
    )
    return found.result[0]


def still(quantity: float = 5.0, middle: float = 100.0) -> Recording:
    """A book that never moves: 5 units at each of four ticks on both sides."""
    return recorded(depth_of((0, book_at(middle, quantity)), *SECOND), QUIET)


@pytest.mark.parametrize("side", [1, -1])
def test_one_order_pays_half_the_spread_and_walks_the_book(side: int) -> None:
    out = run(still(), policies.one_order, side=side, value=1_200.0)  # 12 units: 5, 5 and 2
    assert out[STATUS] == DONE and out[QUANTITY] == pytest.approx(12.0)
    assert out[SPREAD] == pytest.approx(0.5) and out[WALK] == pytest.approx((5 * 0 + 5 * 1 + 2 * 2) / 12)
    assert out[DRIFT] == out[OPPORTUNITY] == out[MAKER] == 0.0


def test_what_was_consumed_stays_consumed_until_the_level_changes() -> None:
    slices = policies.equal_slices(2)
    out = run(still(), slices, value=1_000.0)  # 5 units, then 5 more from the same book
    assert out[WALK] == pytest.approx(0.5)
    changed = [*SECOND[:2], (2_500, [(-1, 100.005, 6.0)]), *SECOND[2:]]
    again = recorded(depth_of((0, book_at(100.0)), *changed), QUIET)
    assert run(again, slices, value=1_000.0)[WALK] == pytest.approx(0.0)


def test_a_resting_order_waits_for_its_queue_and_latency_costs_it_trades() -> None:
    trades = trades_of((1_600, 99.995, 5.0), (2_000, 99.995, 3.0), (2_500, 99.995, 2.0))
    recording = recorded(depth_of((0, book_at(100.0)), *SECOND), trades)
    out = run(recording, policies.post_only, value=500.0)
    assert out[MAKER] == pytest.approx(5.0) and out[SPREAD] == pytest.approx(-0.5)
    late = run(recording, policies.post_only, value=500.0, latency_ms=200)  # the first trade came before it
    assert late[MAKER] == pytest.approx(0.0) and late[OPPORTUNITY] == pytest.approx(0.0)


def test_trades_of_an_instant_come_before_the_changes_that_they_cause() -> None:
    """Seven are traded at a level of five, which is gone then: five of others, and two of ours behind them."""
    gone = (2_000, [(1, 99.995, 0.0)])
    recording = recorded(depth_of((0, book_at(100.0)), SECOND[0], gone, *SECOND[2:]), trades_of((2_000, 99.995, 7.0)))
    assert run(recording, policies.post_only, value=500.0)[MAKER] == pytest.approx(2.0)


def test_what_is_not_done_is_priced_by_the_move_until_the_deadline() -> None:
    moved = [(2_200, [(1, 99.995, 0.0), (-1, 100.005, 0.0), (1, 100.005, 4.0)])]  # a tick up
    recording = recorded(depth_of((0, book_at(100.0)), SECOND[0], *moved, *SECOND[2:]), QUIET)
    out = run(recording, policies.post_only, value=500.0)
    assert out[OPPORTUNITY] == pytest.approx(1.0) and out[LAST_MIDDLE] == pytest.approx(100.01)
    assert run(recording, policies.post_only, side=-1, value=500.0)[OPPORTUNITY] <= 0.0


def test_depth_below_the_size_leaves_the_rest_undone() -> None:
    out = run(still(), policies.one_order, value=3_000.0)  # 30 units, 20 are offered
    assert out[STATUS] == DONE and out[TAKER] == pytest.approx(20.0) and out[QUANTITY] == pytest.approx(30.0)


def test_parts_sum_to_what_was_paid() -> None:
    for seed in range(4):
        stream = random_stream(seed)
        recording = recorded(stream.depth, stream.trades)
        for plan in (policies.one_order, policies.post_then_cross(1.0), policies.post_only):
            out = run(recording, plan, at_ms=2_010, side=(1, -1)[seed % 2], horizon_ms=2_000, latency_ms=20)
            done = (out[MAKER] + out[TAKER]) / out[QUANTITY]
            side = (1, -1)[seed % 2]
            paid = side * (out[MAKER_VALUE] + out[TAKER_VALUE] - 1e4 * done)
            missed = side * 1e4 * (1 - done) * (out[LAST_MIDDLE] / out[MIDDLE] - 1)
            assert out[[SPREAD, WALK, DRIFT, OPPORTUNITY]].sum() == pytest.approx(paid + missed, abs=1e-6)


LATER = SECOND[1:]
ONE_SIDED = [(-1, price, 0.0) for _, price, _ in book_at(100.0)[4:]]
BOOKS = {
    "one side is empty": ((1_200, ONE_SIDED), NOT_OPEN, {}),
    "crossed": ((1_200, [(1, 100.015, 3.0)]), NOT_OPEN, {}),
    "an update was lost": ((1_200, [(1, 99.0, 1.0)]), NOT_WHOLE, {"lost": 1}),
}


@pytest.mark.parametrize("name", list(BOOKS))
def test_a_book_without_a_price_gives_none(name: str) -> None:
    update, reason, how = BOOKS[name]
    recording = recorded(depth_of((0, book_at(100.0)), (1_100, [(1, 98.0, 1.0)]), update, *LATER, **how), QUIET)
    for plan in (policies.one_order, policies.post_only):
        out = run(recording, plan)
        assert out[STATUS] == reason and out[MAKER] == out[TAKER] == 0.0


def test_a_stale_book_and_a_hole_give_no_price() -> None:
    silent = recorded(depth_of((0, book_at(100.0)), SECOND[0], *SECOND[5:]), QUIET)  # nothing from 1 to 6 s
    assert run(silent, policies.one_order, at_ms=3_500, horizon_ms=500)[STATUS] == STALE
    assert run(silent, policies.post_only, horizon_ms=6_000)[STATUS] == HOLE
    trusting = recorded(depth_of((0, book_at(100.0)), SECOND[0], *SECOND[5:]), QUIET, max_age_ms=60_000)
    assert run(trusting, policies.one_order, at_ms=3_500, horizon_ms=500)[STATUS] == DONE


def test_before_the_snapshot_there_is_no_book() -> None:
    depth = depth_of((0, [(1, 90.0, 1.0)]), (3_000, book_at(100.0)), *[one for one in SECOND if one[0] > 3_000])
    depth["is_snapshot"] = depth["exch_ms"] == START_MS + 3_000
    out = run(recorded(depth, QUIET), policies.one_order, horizon_ms=50)
    assert out[STATUS] == NOT_WHOLE and out[TAKER] == 0.0
    assert run(recorded(depth, QUIET), policies.one_order, at_ms=4_500)[STATUS] == DONE


def test_contracts_are_whole_and_less_than_one_is_refused() -> None:
    recording = recorded(depth_of((0, book_at(100.0, 50.0)), *SECOND), QUIET, contract=100.0)
    assert run(recording, policies.one_order, value=1_250.0)[QUANTITY] == 12.0
    study = RecordingStudy(horizon_s=1, warm_s=1, latency_ms=0)
    with pytest.raises(BadParameters, match="99 is less than a contract of 100"):
        carry_out(recording, arrivals_in(recording, study), policies.one_order, 99.0, study)


def test_a_deadline_that_is_too_near_is_refused() -> None:
    with pytest.raises(BadParameters, match="300 ms is too near for a latency of 120 ms"):
        policies.actions(policies.post_then_cross(0.5), np.array([START_MS]), 300, 120)


def test_a_recording_that_cannot_be_read_is_refused() -> None:
    reading = Reading(1.0, 2_000, BookRules())
    depth = depth_of((0, book_at(100.0)), *SECOND)
    with pytest.raises(BadData, match="none of the 1 trades can be believed"):
        read_recording("v/X/1", depth, trades_of((0, float("nan"), 1.0)), None, reading)
    with pytest.raises(BadData, match=r"columns .* are missing"):
        read_recording("v/X/1", depth.drop(columns="qty"), QUIET, None, reading)


STUDY = RecordingStudy(
    values=(300.0, 1_200.0), horizon_s=1.0, every_s=0.2, warm_s=0.5, latency_ms=20, block_s=0.5, resamples=200,
    least_blocks=4, fees_of_venues={"v": Fees(maker_bps=1.0, taker_bps=4.0)},
)  # fmt: skip


def test_each_way_is_compared_at_each_size_with_an_interval() -> None:
    stream = random_stream(3, seconds=8)
    recording = recorded(stream.depth, stream.trades)
    table = compare_recording(recording, STUDY, np.random.default_rng(1))
    pd.testing.assert_frame_equal(table, compare_recording(recording, STUDY, np.random.default_rng(1)))
    assert len(table) == 2 * (len(STUDY.plans()) + 1) and (table["executions"] > 30).all()
    whole = table[[f"{part}_bps" for part in PARTS]].sum(axis=1)
    np.testing.assert_allclose(whole, table["cost_bps"], atol=1e-9)
    assert (table["cost_low"] <= table["cost_bps"]).all() and (table["cost_bps"] <= table["cost_high"]).all()
    of = table.set_index(["value", "policy"])
    assert (of.xs("one_order", level="policy")["fee_bps"] - 4.0).abs().max() < 0.01
    assert (of.xs("hindsight", level="policy")["cost_bps"] <= of.xs("one_order", level="policy")["cost_bps"]).all()
    assert of.loc[(1_200.0, "post_only"), "says"].startswith("leaves ")


def test_too_short_a_recording_says_nothing() -> None:
    stream = random_stream(3, seconds=4)
    table = compare_recording(recorded(stream.depth, stream.trades),
                              STUDY.model_copy(update={"least_blocks": 9}), np.random.default_rng(1))  # fmt: skip
    assert table["says"].str.startswith("too few data to say").all()


def test_void_executions_are_counted_with_their_reason() -> None:
    stream = random_stream(3, seconds=8)
    at = stream.depth["exch_ms"] - START_MS
    holed = recorded(
        stream.depth[(at < 3_000) | (at > 5_500)], stream.trades[stream.trades["exch_ms"] - START_MS < 3_000]
    )
    table = compare_recording(holed, STUDY, np.random.default_rng(1))
    assert (table["void"] > 0).all() and (table["executions"] > 0).all()
    assert "hole" in table["reasons"].iloc[0] or "lost" in table["reasons"].iloc[0]


def changed_by_the_future(cut_ms: int) -> set[str]:
    """Columns of outcomes that were over, and of situations that were known, that change where everything after the cut
    is another market."""
    one, other = random_stream(3, seconds=20), random_stream(9, seconds=20)
    times = {"recv_ns": cut_ms * 10**6, "exch_ms": cut_ms}
    numbers = {"first_update_id": 10_000, "final_update_id": 10_000, "price": 0.5}
    later = other.depth.assign(**{name: other.depth[name] + by for name, by in (times | numbers).items()})
    traded = other.trades.assign(**{name: other.trades[name] + by for name, by in times.items()})
    before = [table[table["exch_ms"] < START_MS + cut_ms] for table in one]
    mixed = [pd.concat(pair, ignore_index=True) for pair in zip(before, (later, traded), strict=True)]
    mixed[1]["trade_id"] = np.arange(len(mixed[1]))
    keys = ["way", "value", "time_ms", "side"]
    tables = [outcomes_in(recorded(depth, trades), STUDY).drop(columns="split") for depth, trades in (one, mixed)]
    both = pd.merge(*tables, on=keys, suffixes=("", "_again"))  # what ends in the new market may end void there
    over = both[both["time_ms"] + 1_000 < START_MS + cut_ms]
    known = both[both["time_ms"] <= START_MS + cut_ms]
    assert len(over) > 20 and len(known) > len(over)
    columns = [name for name in tables[0] if name not in (*keys, "source", "impact")]
    after = both[both["time_ms"] > START_MS + cut_ms + 1_000]
    assert (after["half_spread_bps"] != after["half_spread_bps_again"]).any()  # the markets do differ
    return {
        name
        for rows, names in ((over, columns), (known, FEATURES))
        for name in names
        if not rows[name].equals(rows[f"{name}_again"].rename(name))
    }


@pytest.mark.parametrize("cut_ms", [14_000, 17_000])
def test_what_comes_later_changes_neither_fills_nor_situations(cut_ms: int) -> None:
    assert changed_by_the_future(cut_ms) == set()


def test_a_look_into_the_future_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = outcomes.volatility
    monkeypatch.setattr(outcomes, "volatility", lambda recording, times, ms: honest(recording, times + 1_000, ms))
    assert changed_by_the_future(14_000) == {"volatility_bps"}


def test_the_order_book_stage_and_this_one_agree_on_real_books(shared_data: Path) -> None:
    """Costs of one order at once are those of walking the book, which the order book stage measures by itself."""
    from tradewind.data.order_book.events import Contract
    from tradewind.data.order_book.seconds import rebuild

    name, books = "binance_coinm/ETHUSD_PERP", BookRules(contract_values={"binance_coinm/ETHUSD_PERP": 10.0},
                                                         order_values=(10_000.0,))  # fmt: skip
    depth, trades = (
        pd.read_parquet(shared_data / f"{kind}/{name}_20240808.parquet") for kind in ("l2_depth", "l2_trades")
    )
    depth = depth.iloc[:40_000]
    recording = read_recording(f"{name}/20240808", depth, trades, None, Reading(1.0, 2_000, books))
    walked = rebuild(depth, Contract.of(f"{name}/20240808", books), books).costs
    study = RecordingStudy(horizon_s=1.0, latency_ms=0, warm_s=2)
    arrivals = arrivals_in(recording, study)
    seconds = arrivals._replace(time_ms=arrivals.time_ms // 1000 * 1000)
    paid = carry_out(recording, seconds, policies.one_order, 10_000.0, study).parts[:, 1:3].sum(axis=1)
    ours = pd.Series(paid[::2], index=pd.to_datetime(seconds.time_ms[::2], unit="ms", utc=True))
    theirs = walked[walked["side"] == "buy"].set_index("timestamp")["cost_bps"].reindex(ours.index)
    assert theirs.notna().sum() > 20
    np.testing.assert_allclose(ours[theirs.notna()], theirs.dropna(), rtol=1e-3, atol=1e-6)
