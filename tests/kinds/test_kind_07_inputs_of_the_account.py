"""Kind 7: what an account is given is checked where it enters, with one typed error."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tradewind.errors import BadData, TradewindError
from tradewind.market.volatility import realised_volatility, usual_volume
from tradewind.metrics.risk import measures_of
from tradewind.trading.engine import account
from tradewind.trading.engine.backtest import History, backtest, portfolio, run
from tradewind.trading.engine.portfolio import Market, portfolio_account
from tradewind.trading.engine.step import PROFIT, trading_schedule
from tradewind.trading.engine.sweep import sweep
from tradewind.trading.engine.trades import trade_table
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

FREE = Costs(taker_fee_bps=0, maker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)
N = 6


def columns(n: int = N) -> dict[str, Any]:
    close = 100.0 + np.arange(n)
    return {
        "open": close - 0.5, "close": close, "high": close + 1, "low": close - 1, "volatility": np.full(n, 0.01),
        "funding_rate": np.zeros(n), "volume": np.full(n, 9.0), "usual_volume": np.full(n, 9.0),
        "segment": np.zeros(n, dtype=np.int32),
    }  # fmt: skip


def damaged(name: str, value: float) -> dict[str, Any]:
    given = columns()
    given[name] = given[name].astype(float)
    given[name][3] = value
    return given


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_a_price_that_cannot_be_is_named_with_its_row(name: str, value: float) -> None:
    with pytest.raises(BadData, match=rf"^{name} must be above 0 and finite: 1 of 6 rows .* row 3 \({value}\); "):
        History(**damaged(name, value))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_funding_rate_that_is_missing_is_named(value: float) -> None:
    with pytest.raises(BadData, match="^funding_rate must be finite: 1 of 6 rows"):
        History(**damaged("funding_rate", value))


@pytest.mark.parametrize(
    ("name", "value"),
    [("volume", np.nan), ("volume", -1.0), ("usual_volume", np.inf), ("volatility", -0.1), ("volatility", np.inf),
     ("segment", -1.0), ("segment", 7.0), ("high", 50.0), ("low", 200.0)],
)  # fmt: skip
def test_siblings_of_the_missing_close_are_refused(name: str, value: float) -> None:
    with pytest.raises(BadData, match=f"^{name} must be"):
        History(**damaged(name, value))


def test_a_volatility_that_is_not_known_yet_is_no_fault() -> None:
    assert np.isfinite(backtest(History(**damaged("volatility", np.nan)), np.ones(N), FREE)["equity"]).all()


@pytest.mark.parametrize("name", [name for name in columns() if name != "close"])
def test_columns_of_another_length_are_refused(name: str) -> None:
    given = columns()
    with pytest.raises(BadData, match=f"^{name} must have one value for each bar: 6 closes, 5"):
        History(**given | {name: given[name][:-1]})


def test_a_table_without_segments_is_told_how_to_get_them() -> None:
    bars = pd.DataFrame(columns()).drop(columns="segment")
    with pytest.raises(BadData, match=r"^bars must have the column segment: found .*assign_segments gives it"):
        History.from_bars(bars, np.full(N, 0.01))
    with pytest.raises(BadData, match="^bars must be a table"):
        History.from_bars([1, 2], np.full(N, 0.01))  # type: ignore[arg-type]


def test_funding_without_a_value_or_a_time_zone_is_refused() -> None:
    times = pd.date_range("2024-01-01", periods=N, freq="h", tz="UTC").as_unit("ms")
    bars = pd.DataFrame(columns()).assign(open_time=times, timestamp=times + pd.Timedelta(1, "h"))
    funding = pd.DataFrame({"known_at": times[2:4], "value": [0.001, np.nan]})
    with pytest.raises(BadData, match="^funding's value must be finite: 1 of 2 rows .* row 1"):
        History.from_bars(bars, np.full(N, 0.01), funding)
    naive = funding.assign(known_at=funding["known_at"].dt.tz_localize(None), value=0.0)
    with pytest.raises(BadData, match="^known_at must be instants with a time zone"):
        History.from_bars(bars, np.full(N, 0.01), naive)
    with pytest.raises(BadData, match="^funding must have the column value"):
        History.from_bars(bars, np.full(N, 0.01), funding[["known_at"]])


def test_a_list_of_targets_is_what_an_array_of_them_is() -> None:
    past = History(**columns())
    given: Any = [0.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    assert backtest(past, given, FREE).equals(backtest(past, np.array(given), FREE))
    lists: Any = {name: values.tolist() for name, values in columns().items()}
    assert backtest(History(**lists), given, FREE).equals(backtest(past, np.array(given), FREE))


@pytest.mark.parametrize("given", ["abc", [["x"]], [0.0] * 5, [[0.0] * N], [None] * N, [0.0, np.inf, 0, 0, 0, 0]])
def test_targets_that_are_none_are_refused(given: Any) -> None:
    for call in (lambda: run(History(**columns()), given, FREE), lambda: _swept(given), lambda: _shared(given)):
        with pytest.raises(BadData, match="target"):
            call()


def _swept(given: Any) -> Any:
    times = pd.Series(pd.date_range("2024-01-01", periods=N, freq="h", tz="UTC"))
    return sweep(History(**columns()), times, lambda a: given, [{"a": 1}], FREE, threads=1)


def _shared(given: Any) -> Any:
    return portfolio_account(Market({"A": History(**columns())}, {"A": np.arange(N)}), {"A": given}, FREE)


def test_a_share_is_below_one() -> None:
    for name in ("stop_loss", "take_profit"):
        with pytest.raises(ValidationError, match=r"must be a share below 1: 0.05 is 5 %"):
            OrderRules(**{name: 5})
        with pytest.raises(ValidationError):
            OrderRules(**{name: 1.0})
        assert getattr(OrderRules(**{name: 0.05}), name) == 0.05


FLAT = (100.0, 100.0, 100.0, 100.0)


def _bars(rows: list[tuple[float, float, float, float]]) -> History:
    opening, high, low, close = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    return History(opening, close, np.full(n, 0.01), np.zeros(n), np.zeros(n, dtype=np.int32), high, low)


@pytest.mark.parametrize(
    ("target", "bar", "filled"),
    [
        (1.0, (100, 102, 100, 101), True),  # opens at the price of the order, and never falls below it
        (-1.0, (100, 100, 98, 99), True),
        (1.0, (101, 102, 100, 101), False),  # only touched later: another order may have come first
        (-1.0, (99, 100, 98, 99), False),
        (1.0, (99, 102, 99, 101), True),
    ],
)
def test_a_limit_order_is_filled_where_the_bar_opens_at_its_price(
    target: float, bar: tuple[float, float, float, float], filled: bool
) -> None:
    found = run(_bars([FLAT, bar]), np.full(2, target), FREE, OrderRules(order="limit")).fills
    assert [(int(row), price) for row, _, _, price, *_ in found] == ([(1, bar[0])] if filled else [])


def test_a_profit_is_taken_where_the_bar_opens_at_its_level() -> None:
    rules = OrderRules(take_profit=0.25)
    for side, level in ((1.0, 125.0), (-1.0, 75.0)):
        away = (level, level, level - 1, level - 1) if side > 0 else (level, level + 1, level, level + 1)
        found = run(_bars([FLAT, FLAT, away, FLAT]), np.full(4, side), FREE, rules).fills
        assert [(int(f[0]), f[3], int(f[5])) for f in found[1:]] == [(2, level, PROFIT)]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda past: portfolio({}, {}, {}, FREE), "at least one symbol"),
        (lambda past: portfolio({"A": past}, {}, {"A": np.arange(N)}, FREE), "targets must have the symbols"),
        (lambda past: portfolio({"A": past}, {"A": np.ones(N)}, {}, FREE), "timestamps must have the symbols"),
        (lambda past: portfolio({"A": past}, {"A": np.ones(N)}, {"A": np.arange(3)}, FREE), "6 bars, 3 timestamps"),
        (lambda past: backtest(past, np.ones(N), FREE, bars_per_year=0.0), "bars_per_year must be above 0"),
        (lambda past: backtest(past, np.ones(N), FREE, bars_per_year=np.nan), "bars_per_year must be above 0"),
        (lambda past: trade_table(run(past, np.ones(N), FREE), past, symbol=1), "symbol must be 0 to 0"),
        (lambda past: trade_table(run(past, np.ones(N), FREE), past.rows(np.arange(N) < 1)), "of other bars"),
        (lambda past: realised_volatility(past.close, past.segment[:2], 3), "one segment for each close"),
        (lambda past: realised_volatility(past.close, past.segment, 0), "window"),
        (lambda past: usual_volume(past.close, 0), "window"),
        (lambda past: measures_of(np.array([0.1, np.nan])), "row 1 is nan"),
    ],
)  # fmt: skip
def test_every_door_of_the_account_says_what_it_needs(call: Callable[[History], Any], told: str) -> None:
    with pytest.raises(TradewindError, match=told):
        call(History(**columns()))


def test_the_account_itself_steps_over_no_missing_price() -> None:
    terms = trading_schedule(FREE, OrderRules(), 8766.0)
    bars, segment = History(**columns()).matrix[None].copy(), np.zeros((1, N), dtype=np.int32)
    bars[0, 3, 4] = np.nan
    with pytest.raises(BadData, match="close must be above 0 and finite: symbol 0 has nan at row 4"):
        account.advance(account.begin(1, 1), bars, segment, np.ones((1, N)), terms, FREE.book_shares)
    with pytest.raises(BadData, match="shapes"):
        account.advance(account.begin(1, 1), bars, segment[:, 1:], np.ones((1, N)), terms, FREE.book_shares)


TIMES = pd.date_range("2024-01-01", periods=N, freq="h", tz="UTC", unit="ms").to_numpy()


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ({"Q": TIMES[3]}, "Q has no history"),
        ({"A": TIMES[2]}, "A: it ends at .*, and has a bar at .*: drop its bars after the end"),
        ({"A": "soon"}, "A: its end must be an instant"),
    ],
)
def test_a_stated_end_is_an_instant_after_the_last_bar_of_a_symbol(ends: dict[str, Any], told: str) -> None:
    """A sibling: a delisting before bars that go on was passed over, and one of another symbol, too."""
    histories = {"A": History(**columns()), "B": History(**columns())}
    targets, times = dict.fromkeys(histories, np.zeros(N)), dict.fromkeys(histories, TIMES)
    with pytest.raises(BadData, match=told):
        portfolio(histories, targets, times, FREE, ends=ends)
    portfolio(histories, targets, times, FREE, ends={"A": TIMES[-1]})


def test_what_numpy_would_drop_in_silence_is_missing_or_refused() -> None:
    """Siblings: what lies beneath a mask was traded, and the imaginary part of a number left out."""
    history = History(**columns())
    with pytest.raises(BadData, match="row 2: nan"):
        backtest(history, np.ma.masked_array(np.ones(N), np.arange(N) == 2), FREE)
    with pytest.raises(BadData, match="targets must be numbers"):
        backtest(history, np.ones(N) * 1j, FREE)
    whole = np.ma.masked_array(np.ones(N), np.zeros(N, dtype=bool))
    assert backtest(history, whole, FREE)["equity"].tolist() == backtest(history, np.ones(N), FREE)["equity"].tolist()


@pytest.mark.parametrize("days", [0.0, -1.0, np.nan, np.inf])
def test_a_year_without_days_is_refused(days: float) -> None:
    with pytest.raises(BadData, match="days_per_year must be above 0"):
        measures_of(np.array([0.01, 0.02, -0.01]), days)


def test_random_damage_is_a_typed_error_and_never_a_number() -> None:
    """Property: 500 histories with one value spoilt anywhere end in `BadData`, none in an account."""
    rng = np.random.default_rng(7)
    names = ("open", "high", "low", "close", "funding_rate", "volume", "usual_volume", "target")
    for _ in range(500):
        n = int(rng.integers(2, 40))
        given: dict[str, Any] = columns(n) | {"target": rng.uniform(-1, 1, n)}
        name = names[rng.integers(len(names))]
        given[name] = given[name].copy()
        given[name][rng.integers(n)] = [np.nan, np.inf, -np.inf][rng.integers(3)]
        with pytest.raises(BadData, match=name):
            target = given.pop("target")
            run(History(**given), target, FREE)
