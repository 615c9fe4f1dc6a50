"""What two venues' prices, or several venues' funding, leave to be gained.

    python tools/arbitrage_of_candles.py pair FIRST.parquet SECOND.parquet [COSTS_BPS]
    python tools/arbitrage_of_candles.py funding FIRST.parquet SECOND.parquet ...

Candles have open time and close (timestamp, close); where one file's bars are shorter, the last of each longer bar
counts. Funding has the time and rate of each settlement (timestamp, and a column with "rate" in its name). Costs are of
both legs in and out, 24 basis points if they are not given.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tradewind.trading.execution.arbitrage.history import judge_funding, judge_pair
from tradewind.trading.execution.arbitrage.timing import PairCosts

COSTS_BPS = 24.0
DAY = pd.Timedelta(days=1)


def closes(first: Path, second: Path) -> tuple[pd.DataFrame, int]:
    """Closes of both at the ends of the longer bars, and how many of those make a day."""
    series = []
    for path in (first, second):
        table = pd.read_parquet(path).sort_values("timestamp")
        step = table["timestamp"].diff().median()
        series.append((step, pd.Series(table["close"].to_numpy(), table["timestamp"] + step)))
    both = pd.concat([one for _, one in series], axis=1, join="inner").dropna()
    return both, int(DAY / max(step for step, _ in series))


def rates_bps(paths: list[Path]) -> pd.DataFrame:
    """Funding of each venue at the settlements that all have."""
    series = []
    for path in paths:
        table = pd.read_parquet(path)
        rate = next(name for name in table if "rate" in name)
        series.append(pd.Series(1e4 * table[rate].to_numpy(), table["timestamp"].dt.floor("h")).groupby(level=0).last())
    return pd.concat(series, axis=1, join="inner").dropna()


def main(words: list[str]) -> None:
    """Print what is found."""
    if words[:1] == ["pair"] and len(words) in (3, 4):
        both, day = closes(Path(words[1]), Path(words[2]))
        costs = PairCosts(side_bps=float(words[3]) if len(words) == 4 else COSTS_BPS, transfer_steps=1)
        found = judge_pair(both.iloc[:, 0].to_numpy(), both.iloc[:, 1].to_numpy(), day, costs)
        print(f"{len(both):,} common closes, {found.compared:,} of them judged: {found.says}")
        print(f"beyond 20 bps of the day's median: {found.beyond_20_bps}; widest {found.widest_bps:.1f} bps")
    elif words[:1] == ["funding"] and len(words) > 2:
        rates = rates_bps([Path(word) for word in words[1:]])
        paid = judge_funding(rates.to_numpy(), COSTS_BPS, np.random.default_rng(7))
        low, high = paid.break_even_interval
        print(f"{len(rates):,} settlements: median gap {paid.median_gap_bps:.2f} bps; held by the last one's, ", end="")
        after = f"{paid.break_even:.0f} settlements ({low:.0f} to {high:.0f})"
        print(f"{paid.collected_bps:.2f} bps a settlement pay {COSTS_BPS:g} after {after}")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
