import numpy as np
import pandas as pd

from tradewind.market.universe import Universe
from tradewind.trading.engine.histories import histories_of

HOUR = pd.Timedelta(hours=1)
START = pd.Timestamp("2024-01-01", tz="UTC")


def bars() -> pd.DataFrame:
    opened = pd.DatetimeIndex([START + n * HOUR for n in range(6)]).as_unit("ms")
    table = pd.DataFrame({"open_time": opened, "timestamp": (opened + HOUR).as_unit("ms")})
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    return table.assign(**prices, volume=1.0, segment=np.int32(0))


def paid(series: str) -> list[float]:
    """Funding by bar: a rate after the second hour, and a source that falls silent after the fourth."""
    known = pd.DatetimeIndex([START + 2 * HOUR, START + 4 * HOUR]).as_unit("ms") + pd.Timedelta(milliseconds=1)
    table = pd.DataFrame({"series": series, "symbol": "A", "known_at": known.as_unit("ms"), "value": [1e-4, np.nan]})
    universe = Universe(venue="v", symbols=("A",), timeframe="1h")
    _, history = histories_of({"v/A/1h": bars}, table, universe, 2)["A"]
    return history.funding_rate.tolist()


def test_a_settlement_is_paid_and_silence_costs_nothing() -> None:
    assert paid("funding") == [0.0, 0.0, 1e-4, 0.0, 0.0, 0.0]


def test_the_rates_of_another_market_only_inform() -> None:
    assert paid("perp_funding") == [0.0] * 6
