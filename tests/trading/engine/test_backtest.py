"""The account on histories small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.trading.engine.backtest import History, backtest, run
from tradewind.trading.engine.step import END
from tradewind.trading.execution.costs import Costs

FREE = Costs(taker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)
HUNDRED_BPS = Costs(taker_fee_bps=90, half_spread_bps=10, slippage_share_of_volatility=0)


def history(opening: list[float], close: list[float], **others: object) -> History:
    n = len(close)
    columns = {
        "volatility": np.full(n, 0.01),
        "funding_rate": np.zeros(n),
        "segment": np.zeros(n, dtype=np.int32),
        **{name: np.asarray(values) for name, values in others.items()},
    }
    return History(np.asarray(opening, dtype=float), np.asarray(close, dtype=float), **columns)


def test_a_decision_is_filled_at_the_next_open_not_at_its_own_close() -> None:
    account = backtest(history([100, 110, 110], [100, 121, 121]), np.array([1.0, 1.0, 1.0]), FREE)
    assert account["gross"].tolist() == pytest.approx([0.0, 0.1, 0.0])
    assert account["position"].tolist() == pytest.approx([0.0, 1.0, 1.0])


def test_latency_delays_the_fill_by_whole_bars() -> None:
    late = FREE.model_copy(update={"latency_bars": 1})
    account = backtest(history([100, 100, 100], [100, 200, 110]), np.array([1.0, 1.0, 1.0]), late)
    assert account["gross"].tolist() == pytest.approx([0.0, 0.0, 0.1 * 1.0])


def test_costs_are_paid_once_for_a_position_that_is_held() -> None:
    account = backtest(history([100] * 5, [100] * 5), np.array([0.5, 0.5, 0.5, 0.0, 0.0]), HUNDRED_BPS)
    assert account["cost"].tolist() == pytest.approx([0, 0.005, 0, 0, 0.005 / 0.995])


def test_slippage_follows_the_volatility_known_at_the_decision() -> None:
    costs = Costs(taker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0.5)
    account = backtest(history([100] * 3, [100] * 3, volatility=[0.02, 0.08, 0.08]), np.array([1.0, 1.0, 1.0]), costs)
    assert account["cost"].tolist() == pytest.approx([0, 0.01, 0])


def test_longs_pay_positive_funding_and_shorts_receive_it() -> None:
    flat = history([100] * 3, [100] * 3, funding_rate=[0.001, 0.001, 0.0])
    assert backtest(flat, np.array([1.0, 1, 1]), FREE)["funding"].tolist() == pytest.approx([0, 0.001, 0])
    assert backtest(flat, np.array([-1.0, -1, -1]), FREE)["funding"].tolist() == pytest.approx([0, -0.001, 0])


def test_a_gap_is_suffered_and_the_position_closed_at_the_first_open_after_it() -> None:
    segment = np.array([0, 0, 0, 1, 1], dtype=np.int32)
    gap = history([100, 100, 100, 50, 300], [100, 100, 100, 60, 300], segment=segment)
    result = run(gap, np.ones(5), HUNDRED_BPS)
    account = result.account
    assert account["position"].iloc[2] == pytest.approx(1 / 0.99)  # nobody knows yet
    assert account["gross"].tolist() == pytest.approx([0, 0, 0, -0.5 / 0.99, 0])
    assert account["cost"].iloc[3] == pytest.approx(0.01 * 0.5 / 0.99)
    assert account["position"].iloc[3] == 0.0  # nothing was decided in the new segment yet
    assert [(row, price, reason) for row, _, _, price, _, reason, _ in result.fills[1:2]] == [(3, 50.0, END)]
    assert account["position"].iloc[4] == pytest.approx(1.0, rel=0.02)


def test_units_are_held_so_a_short_grows_as_it_loses() -> None:
    account = backtest(history([100, 100, 150], [100, 150, 150]), np.array([-1.0, -1.0, -1.0]), FREE)
    assert account["position"].iloc[1] == pytest.approx(-1.5 / 0.5)


def test_a_ruined_account_has_lost_itself_and_no_more() -> None:
    """A short through a price that more than doubles overnight: what a lender would lose beyond it is not its own."""
    result = run(history([100, 100, 250, 50], [100, 100, 240, 50]), np.full(4, -1.0), HUNDRED_BPS)
    rows = result.account[["gross", "cost", "funding", "net", "equity"]].to_numpy()
    assert rows[2].tolist() == [-1.0, 0.0, 0.0, -1.0, 0.0]
    assert rows[3].tolist() == [0.0, 0.0, 0.0, 0.0, 0.0]  # and nothing is won back
    np.testing.assert_allclose(rows[:, 0] - rows[:, 1] - rows[:, 2], rows[:, 3], atol=1e-15)
    assert result.account["position"].tolist()[2:] == [0.0, 0.0]


@pytest.mark.parametrize("bad", [np.nan, 1.0001, -2.0, np.inf])
def test_a_target_that_is_missing_or_too_large_stops_the_run(bad: float) -> None:
    with pytest.raises(BadData, match="row 1"):
        backtest(history([100] * 3, [100] * 3), np.array([0.0, bad, 0.0]), FREE)


def test_a_target_is_needed_for_each_bar() -> None:
    with pytest.raises(BadData, match="3 bars, 2 targets"):
        backtest(history([100] * 3, [100] * 3), np.zeros(2), FREE)


def bars(n: int) -> pd.DataFrame:
    opened = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", unit="ms")
    price = np.full(n, 100.0)
    return pd.DataFrame(
        {
            "open_time": opened,
            "timestamp": opened + pd.Timedelta(hours=1),
            "open": price,
            "close": price,
            "segment": np.zeros(n, dtype=np.int32),
        }
    )


def test_a_funding_rate_is_charged_in_the_bar_that_contains_it() -> None:
    known_at = pd.to_datetime(
        ["2023-12-31 16:00:00.001", "2024-01-01 00:00:00.001", "2024-01-01 02:30", "2024-01-01 02:45", "2025-01-01"],
        utc=True,
        format="ISO8601",
    ).as_unit("ms")
    funding = pd.DataFrame({"known_at": known_at, "value": [9.0, 0.1, 0.2, 0.4, 9.0]})
    found = History.from_bars(bars(4), np.full(4, 0.01), funding).funding_rate
    assert found.tolist() == pytest.approx([0.1, 0, 0.6, 0])
