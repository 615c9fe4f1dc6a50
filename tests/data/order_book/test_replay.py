"""A book rebuilt fast is the book rebuilt slowly, and says when it cannot be believed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradewind.data.order_book import agreement, events, seconds
from tradewind.data.order_book.events import BookRules, Contract
from tradewind.errors import BadData

RULES = BookRules(depth_bps=(10.0, 100.0), order_values=(100.0, 5_000.0), contiguous_venues=("v",))
CONTRACT = Contract("v", "A", None)
START_MS = 1_704_067_200_000


def stream(*changes: tuple[float, int, int, bool, list[tuple[int, float, float]]]) -> pd.DataFrame:
    """Depth rows of changes: (seconds, first id, final id, is snapshot, [(side, price, quantity)])."""
    rows = [
        (
            int(1e9) * (START_MS // 1000) + int(at * 1e9),
            START_MS + int(at * 1000),
            first,
            final,
            whole,
            side,
            price,
            qty,
        )
        for at, first, final, whole, levels in changes
        for side, price, qty in levels
    ]
    return pd.DataFrame(rows, columns=list(events.DEPTH))


def random_stream(rng: np.random.Generator, changes: int = 300) -> pd.DataFrame:
    """A snapshot that arrives late, and changes before and after it, of which a third empty a level."""
    made = []
    for number in range(changes):
        levels = [
            (side, round(100 - side * rng.integers(1, 40) * 0.01, 2), float(rng.integers(0, 3)))
            for side in rng.choice([-1, 1], 4)
        ]
        made.append((number / 20, 10 * number + 1, 10 * number + 10, False, levels))
    sides = [(side, round(100 - side * step * 0.01, 2), 1.0) for side in (1, -1) for step in range(1, 60)]
    made.insert(7, (6.5 / 20, 55, 55, True, sides))
    return stream(*made)


def slow_books(depth: pd.DataFrame) -> Iterator[tuple[int, int, dict[float, float], dict[float, float]]]:
    """After every update its time, its number, and both sides by price: dictionaries, one row after the other."""
    sides: dict[int, dict[float, float]] = {1: {}, -1: {}}
    past: list[tuple[int, list[tuple[int, float, float]]]] = []
    last = -1
    for _, group in depth.groupby((depth["final_update_id"].diff() != 0).cumsum(), sort=False):
        levels = list(zip(group["side"], group["price"], group["qty"], strict=True))
        number, at = int(group["final_update_id"].iloc[0]), int(group["exch_ms"].iloc[0])
        if group["is_snapshot"].iloc[0]:
            sides = {1: {}, -1: {}}
            todo = [levels, *(changes for later, changes in past if later > number)]
            last = max(last, number)
        else:
            past.append((number, levels))
            todo = [levels] if number > last else []
            last = max(last, number)
        for side, price, qty in (change for changes in todo for change in changes):
            if qty > 0:
                sides[side][price] = qty
            else:
                sides[side].pop(price, None)
        yield at, number, sides[1], sides[-1]


def at_each_second(depth: pd.DataFrame) -> dict[int, tuple[float, float, float, float]]:
    """End of the second -> best bid, best ask, depth within 10 bps of both sides; where both stand uncrossed."""
    found, current = {}, {}
    last = int(depth["exch_ms"].iloc[-1])
    for at, _, bids, asks in slow_books(depth):
        current[(at // 1000 + 1) * 1000] = (dict(bids), dict(asks))
    for end, (bids, asks) in current.items():
        if bids and asks and max(bids) < min(asks) and end <= last:
            mid = (max(bids) + min(asks)) / 2
            near = [sum(p * q for p, q in side.items() if abs(p - mid) <= mid * 1e-3) for side in (bids, asks)]
            found[end] = (max(bids), min(asks), *near)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_book_is_that_of_a_slow_replay(seed: int) -> None:
    depth = random_stream(np.random.default_rng(seed))
    book = seconds.rebuild(depth, CONTRACT, RULES).seconds
    expected = at_each_second(depth)
    ends = book["timestamp"].to_numpy("datetime64[ms]").astype(np.int64)
    assert len(expected) > 8 and set(expected) <= set(ends)
    columns = ["bid", "ask", "bid_depth_10", "ask_depth_10"]
    rows = dict(zip(ends, book[columns].to_numpy(), strict=True))
    for end, values in expected.items():
        assert rows[end] == pytest.approx(values, rel=1e-12)


def test_a_replay_that_forgets_what_came_before_the_snapshot_is_caught() -> None:
    """The planted fault: changes that are newer than the snapshot but arrived before it are dropped."""
    depth = random_stream(np.random.default_rng(0))
    arrival = depth["is_snapshot"].to_numpy().argmax()
    forgetful = depth[(np.arange(len(depth)) >= arrival) | (depth["final_update_id"] <= 55)]
    book, wrong = (seconds.rebuild(table, CONTRACT, RULES).seconds for table in (depth, forgetful))
    assert not book["bid_depth_10"].equals(wrong["bid_depth_10"])


def test_a_lost_update_ends_the_whole_book_until_the_next_snapshot() -> None:
    sides = [(1, 99.0, 5.0), (-1, 101.0, 5.0)]
    steps = [(0.1, 1, 1, True, sides)]
    steps += [(number + 0.5, number + 1, number + 1, False, [(1, 99.0, 5.0 + number)]) for number in range(1, 9)]
    steps.insert(7, (6.6, 7, 7, True, sides))
    whole = seconds.rebuild(stream(*steps), CONTRACT, RULES)
    lost = seconds.rebuild(stream(*steps[:3], *steps[4:]), CONTRACT, RULES)
    assert whole.updates_lost == 0 and whole.seconds["is_whole"].all()
    assert lost.updates_lost == 1
    assert lost.seconds["is_whole"].tolist() == [True, True, True, True, False, False, True, True]
    elsewhere = seconds.rebuild(stream(*steps[:3], *steps[4:]), Contract("other", "A", None), RULES)
    assert elsewhere.updates_lost == 0  # there, numbers have gaps by nature


def test_nothing_of_a_second_depends_on_what_comes_after_it() -> None:
    depth = random_stream(np.random.default_rng(3))
    book = seconds.rebuild(depth, CONTRACT, RULES)
    for cut in range(1500, 14_000, 1700):
        past = depth[depth["exch_ms"] <= START_MS + cut]
        known = seconds.rebuild(past, CONTRACT, RULES)
        rows = len(known.seconds)
        assert rows >= cut // 1000 - 1
        pd.testing.assert_frame_equal(known.seconds, book.seconds.iloc[:rows])
        assert (known.seconds["timestamp"] <= pd.Timestamp(START_MS + cut, unit="ms", tz="UTC")).all()


def test_walking_the_book_pays_each_level_its_price() -> None:
    sides = [(1, 99.0, 10.0), (1, 98.0, 100.0), (-1, 101.0, 10.0), (-1, 103.0, 10.0)]
    depth = stream((0.1, 1, 1, True, sides), (2.5, 2, 2, False, [(1, 99.0, 10.0)]))
    rules = BookRules(depth_bps=(150.0,), order_values=(505.0, 1_525.0, 50_000.0))
    costs = seconds.rebuild(depth, CONTRACT, rules).costs
    first = costs[costs["timestamp"] == costs["timestamp"].min()].set_index(["side", "order_value"])["cost_bps"]
    assert first["buy", 505.0] == pytest.approx(100.0)
    assert first["buy", 1_525.0] == pytest.approx(1e4 * (1_525 / (10 + 515 / 103) / 100 - 1))
    assert first["sell", 1_525.0] == pytest.approx(1e4 * (1 - 1_525 / (10 + 535 / 98) / 100))
    assert np.isnan(first["buy", 50_000.0])  # the book is too thin: not made up
    summary = seconds.summarise_costs(costs)
    assert summary.set_index(["side", "order_value"]).loc[("buy", 50_000.0), "filled_share"] == 0.0
    points = seconds.book_points(summary)
    assert [value for value, _ in points] == [505.0, 1_525.0] and points[0][1] == 0.0 < points[1][1]


def test_rows_that_cannot_be_believed_are_kept_apart() -> None:
    depth = stream((0.1, 1, 1, True, [(1, 99.0, 1.0), (-1, 101.0, 1.0)]), (2.1, 2, 2, False, [(1, -5.0, 1.0)]),
                   (3.1, 3, 3, False, [(1, 99.0, 2.0)]))  # fmt: skip
    depth.loc[len(depth)] = [*depth.iloc[-1][:6], 99.0, float("nan")]
    book = seconds.rebuild(depth.astype({"is_snapshot": bool}), CONTRACT, RULES)
    assert sorted(book.rejected["reason"]) == ["price is not positive", "qty is not finite"]


def test_updates_that_go_back_and_missing_columns_stop() -> None:
    sides = [(1, 99.0, 1.0), (-1, 101.0, 1.0)]
    backwards = stream((0.1, 5, 5, False, sides), (1.1, 4, 4, False, sides), (2.1, 6, 6, False, sides))
    with pytest.raises(BadData, match="in the order of final_update_id; change 2 goes back"):
        seconds.rebuild(backwards, CONTRACT, RULES)
    with pytest.raises(BadData, match=r"\['qty'\] are missing"):
        seconds.rebuild(backwards.drop(columns="qty"), CONTRACT, RULES)


REAL = [("binance", "BTCUSDT", 347), ("binance", "ETHUSDT", 347), ("binance_usdm", "BTCUSDT", 346),
        ("binance_usdm", "ETHUSDT", 346), ("binance_coinm", "BTCUSD_PERP", 345),
        ("binance_coinm", "ETHUSD_PERP", 345)]  # fmt: skip


@pytest.mark.parametrize(("venue", "symbol", "length"), REAL)
def test_real_books_say_what_the_exchange_quotes(shared_data: Path, venue: str, symbol: str, length: int) -> None:
    rules = BookRules(contract_values={"binance_coinm/BTCUSD_PERP": 100.0, "binance_coinm/ETHUSD_PERP": 10.0})
    depth = pd.read_parquet(shared_data / "l2_depth" / venue / f"{symbol}_20240808.parquet")
    quotes = pd.read_parquet(shared_data / "l2_bbo" / venue / f"{symbol}_20240808.parquet")
    book = seconds.rebuild(depth, Contract.of(f"{venue}/{symbol}/20240808", rules), rules)
    assert len(book.seconds) == length - 1 and book.seconds["is_whole"].all() and book.updates_lost == 0
    assert book.skew_ms == pytest.approx(1265, abs=10)
    found = agreement.compare_quotes(book.seconds, quotes, book.skew_ms)
    assert found["equal_share"] > 0.9 and found["largest_difference_bps"] < 4
    unmoved = agreement.compare_quotes(book.seconds, quotes.assign(exch_ms=0), 0.0)  # the receiver's clock is wrong
    assert unmoved["equal_share"] < found["equal_share"] - 0.1


def test_after_every_update_the_best_prices_are_the_quoted_ones(shared_data: Path) -> None:
    """By number, not by clock: the last quote numbered up to an update is the top of the book after it."""
    depth = pd.read_parquet(shared_data / "l2_depth/binance/ETHUSDT_20240808.parquet").head(30_000)
    quotes = pd.read_parquet(shared_data / "l2_bbo/binance/ETHUSDT_20240808.parquet")
    numbers, bid, ask = (quotes[name].to_numpy() for name in ("update_id", "bid_px", "ask_px"))
    snapshot = int(depth.loc[depth["is_snapshot"], "final_update_id"].iloc[0])
    compared = equal = 0
    for _, number, bids, asks in slow_books(depth):
        place = np.searchsorted(numbers, number, side="right") - 1
        if number > snapshot and place >= 0:
            compared += 1
            equal += (max(bids), min(asks)) == (bid[place], ask[place])
    # Once the quotes leave out a price that was gone and back within 60 updates.
    assert compared == 905 and equal == 904


def test_without_a_snapshot_the_book_is_never_called_whole(shared_data: Path) -> None:
    depth = pd.read_parquet(shared_data / "l2_depth/binance_usdm/BTCUSDT_20240719.parquet")
    book = seconds.rebuild(depth, Contract("binance_usdm", "BTCUSDT", None), BookRules())
    assert not book.seconds["is_whole"].any() and book.costs.empty
