"""Floors of all symbols, and how often they hold: by symbol, volatility and year, beside quantiles of past lows."""

from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadData
from tradewind.metrics.resampling import draw_totals
from tradewind.parameters import Parameters
from tradewind.trading.execution.floor import FloorRules, forecast_floors, pinball

Floats = NDArray[np.float64]

COLUMNS = ("symbol", "timestamp", "floor", "from_bars", "historical", "lowest", "volatility")
WAYS = ("floor", "from_bars", "historical")
TERCILES = ("low", "middle", "high")
INTERVAL = (0.025, 0.975)


class FloorStudy(Parameters):
    """What floors are made of and how they are judged (`params:floors`).

    Attributes:
        model: whose forecast paths are read; of several seeds the first.
        rules: horizon, probability and how they are learnt.
        block_days: mean length of the bootstrap's blocks, of whole days of all symbols, since symbols fall together
            and horizons overlap.
        resamples: of the bootstrap.
        least_blocks: below, there is too little to say.
    """

    model: str = "lstm"
    rules: FloorRules = FloorRules()
    block_days: Annotated[float, Field(ge=1)] = 10.0
    resamples: Annotated[int, Field(ge=100)] = 2000
    least_blocks: Annotated[int, Field(ge=2)] = 8


def widths_of(paths: pd.DataFrame, horizon_bars: int) -> pd.DataFrame:
    """How wide the forecast path of each symbol opens until the floor's horizon: median less 5 % quantile.

    Args:
        paths: `market.schema.HorizonForecasts` of one model.
        horizon_bars: of the floor; the path is read at its longest horizon that is no longer.

    Returns:
        symbol, timestamp, width.

    Raises:
        BadData: the path has no horizon so short.
    """
    horizons = sorted(int(one) for one in paths["horizon"].unique())
    within = [one for one in horizons if one <= horizon_bars]
    if not within:
        raise BadData(
            f"floors.rules.horizon_bars is {horizon_bars}, and paths were forecast for {horizons} bars: raise it"
        )
    read = paths[(paths["horizon"] == within[-1]) & (paths["seed"] == paths["seed"].iloc[0]) & (paths["path"] == -1)]
    return read[["symbol", "timestamp"]].assign(width=read["q50"] - read["q05"])


def floors_of(bars: pd.DataFrame, widths: pd.DataFrame, rules: FloorRules) -> pd.DataFrame:
    """The floors of one symbol at the closes where they can be said.

    Args:
        bars: of the symbol, in order of time.
        widths: of `widths_of`.
        rules: horizon, probability and how they are learnt.

    Returns:
        `COLUMNS`; the lowest low is missing where the next bars are not over.

    Raises:
        BadData: the symbol has no forecasts, or too few bars or forecasts.
    """
    symbol = str(bars["symbol"].iloc[0])
    own = widths[widths["symbol"] == symbol].set_index("timestamp")["width"]
    if own.empty:
        raise BadData(f"{symbol}: no path was forecast for it: choose another floors.model, or run deep_learning anew")
    try:
        found = forecast_floors(bars, rules, own.reindex(bars["timestamp"]).to_numpy(dtype=np.float64))
    except BadData as error:
        raise BadData(f"{symbol}: {error} (floors.rules)") from None
    columns = {name: getattr(found, name) for name in COLUMNS[2:]}
    table = pd.DataFrame({"symbol": symbol, "timestamp": bars["timestamp"], **columns})
    return table[table["floor"].notna() & table["historical"].notna()].reset_index(drop=True)


def score_floors(floors: pd.DataFrame, study: FloorStudy, generator: np.random.Generator) -> pd.DataFrame:
    """How often floors held and how sharp they were, of all and by symbol, tercile of volatility, and year.

    Args:
        floors: of `floors_of`, all symbols.
        study: probability, blocks and resamples.
        generator: draws the resamples.

    Returns:
        One row a group: `by`, `group`, floors, blocks of days; of each way the share that held with its interval; and
        of the floor what its pinball loss is below that of the past lows and of the bars alone, as a share, with
        paired intervals. Intervals are of 95 %, and missing where there are too few blocks.

    Raises:
        BadData: no floor is settled.
    """
    rows = floors.dropna(subset="lowest").reset_index(drop=True)
    if rows.empty:
        raise BadData("no floor is settled: there are too few bars after the first forecast (floors.rules)")
    rank = rows.groupby("symbol")["volatility"].rank(pct=True, method="first").to_numpy()
    tercile = np.array(TERCILES)[np.minimum((3 * rank).astype(int), 2)]
    groups = {"all": np.full(len(rows), "all"), "symbol": rows["symbol"].to_numpy(), "volatility": tercile,
              "year": rows["timestamp"].dt.year.astype(str).to_numpy()}  # fmt: skip
    measured = _measured(rows, 1 - study.rules.probability)
    days = rows["timestamp"].dt.floor("D").to_numpy()
    out = []
    for by, names in groups.items():
        order = TERCILES if by == "volatility" else sorted(set(names))
        for name in order:
            if (names == name).any():
                out.append({"by": by, "group": str(name)} | _scored(measured, days, names == name, study, generator))
    return pd.DataFrame(out)


def _measured(rows: pd.DataFrame, level: float) -> Floats:
    """One, whether each way held, and each way's pinball loss, (rows, 1 + 2 ways)."""
    lowest = rows["lowest"].to_numpy()
    said = [rows[way].to_numpy() for way in WAYS]
    return np.column_stack(
        [np.ones(len(rows)), *(lowest >= one for one in said), *(pinball(lowest, one, level) for one in said)]
    )


def _scored(
    measured: Floats, days: NDArray[np.datetime64], within: NDArray[np.bool_], study: FloorStudy,
    generator: np.random.Generator,
) -> dict[str, object]:  # fmt: skip
    daily = pd.DataFrame(measured[within]).groupby(days[within]).sum().to_numpy()
    blocks = int(len(daily) // study.block_days)
    drawn = draw_totals(daily, study.block_days, study.resamples, generator)
    of_all, of_drawn = _figures(daily.sum(axis=0)[None]), _figures(drawn)
    row: dict[str, object] = {"floors": int(within.sum()), "blocks": blocks}
    for name, figure in of_all.items():
        low, high = np.quantile(of_drawn[name], INTERVAL) if blocks >= study.least_blocks else (np.nan, np.nan)
        row |= {name: float(figure[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def _figures(totals: Floats) -> dict[str, Floats]:
    """Shares that held and losses that were saved, of sums over days, (resamples,) each."""
    count, losses = totals[:, 0], totals[:, 1 + len(WAYS) :]
    held = {f"{way}_held": totals[:, 1 + place] / count for place, way in enumerate(WAYS)}
    saved = {
        f"saved_against_{way}": 1 - losses[:, 0] / np.maximum(losses[:, place], 1e-300)
        for place, way in enumerate(WAYS) if place
    }  # fmt: skip
    return held | saved
