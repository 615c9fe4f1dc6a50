"""What regimes foretell on hourly candles: `python tools/regimes_of_candles.py FILE.parquet ...` prints three tables.

A file has open, high, low, close, volume and timestamp, the opening of each bar in UTC. Bars that are missing end a
segment, as in the project's own data.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tradewind.validation.regime_study import study

HOUR = pd.Timedelta(1, unit="h")
MOST_MISSING = 3  # bars, beyond which a new segment begins


def read(path: Path) -> pd.DataFrame:
    """Bars with the columns that the project's own have."""
    table = pd.read_parquet(path).sort_values("timestamp", ignore_index=True)
    opened = table["timestamp"].astype("datetime64[ms, UTC]")
    gap = opened.diff() > (MOST_MISSING + 1) * HOUR
    keep = ["open", "high", "low", "close", "volume"]
    return table[keep].assign(
        symbol=path.stem.split("-")[0], open_time=opened, timestamp=opened + HOUR,
        segment=np.cumsum(gap.to_numpy()).astype(np.int32),
    )  # fmt: skip


def main() -> None:
    """The tables of every file named."""
    for name in sys.argv[1:]:
        found = study(read(Path(name)), seed=7)
        for title, table in found._asdict().items():
            print(f"\n{Path(name).stem}: {title}")
            print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
