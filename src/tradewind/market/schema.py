"""The table contracts: one pandera model for each table that crosses a stage.

Instants are UTC with millisecond resolution. A row's `timestamp` is the moment it is known (a bar's close);
side data carries `known_at`. Columns are checked for type, range and key; unknown columns are refused except
where a table is open by design (features, model input, leaderboard).
"""

from typing import Annotated

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

Instant = Annotated[pd.DatetimeTZDtype, "ms", "UTC"]


def _not_after(earlier: str, later: str) -> object:
    @pa.dataframe_check(name=f"{earlier} <= {later}")
    def check(cls: type, table: pd.DataFrame) -> Series[bool]:
        return table[earlier] <= table[later]

    return check


def is_constant(column: pd.Series) -> bool:
    """Whether all cells of a text column are equal (and there are none missing)."""
    return len(column) == 0 or bool((column == column.iloc[0]).all())


class _Table(pa.DataFrameModel):
    class Config:
        strict = True
        coerce = False
        ordered = False


class Bars(_Table):
    """Checked bars of one venue, symbol and timeframe, oldest first; `timestamp` is the close."""

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    timestamp: Series[Instant]
    open_time: Series[Instant]
    open: Series[float] = pa.Field(gt=0, lt=np.inf)
    high: Series[float] = pa.Field(gt=0, lt=np.inf)
    low: Series[float] = pa.Field(gt=0, lt=np.inf)
    close: Series[float] = pa.Field(gt=0, lt=np.inf)
    volume: Series[float] = pa.Field(ge=0, lt=np.inf)
    quote_volume: Series[float] | None = pa.Field(ge=0, nullable=True)
    trades: Series[float] | None = pa.Field(ge=0, nullable=True)
    segment: Series[np.int32] = pa.Field(ge=0)

    @pa.dataframe_check(name="low <= open, close <= high")
    def is_ohlc_consistent(cls, bars: pd.DataFrame) -> Series[bool]:  # noqa: N805
        """High and low bound the open and the close."""
        opened, high, low, close = (bars[name].to_numpy() for name in ("open", "high", "low", "close"))
        is_within = (low <= np.minimum(opened, close)) & (np.maximum(opened, close) <= high)
        return pd.Series(is_within, index=bars.index)

    @pa.dataframe_check(name="one symbol, oldest first, each instant once")
    def is_sorted(cls, bars: pd.DataFrame) -> bool:  # noqa: N805
        """Instead of `unique`, which takes half a second for a year of minutes."""
        one_key = all(is_constant(bars[name]) for name in ("venue", "symbol", "timeframe"))
        instants = bars["timestamp"].to_numpy("datetime64[ms]")
        return one_key and bool((instants[1:] > instants[:-1]).all())


class TypedBars(_Table):
    """Rows as received, typed and complete, not yet checked against each other."""

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    timestamp: Series[Instant]
    open_time: Series[Instant]
    open: Series[float]
    high: Series[float]
    low: Series[float]
    close: Series[float]
    volume: Series[float]
    quote_volume: Series[float] | None = pa.Field(nullable=True)
    trades: Series[float] | None = pa.Field(nullable=True)
    source_row: Series[np.int64] = pa.Field(ge=0)


class Quarantine(_Table):
    """Rejected rows: where each stood in its source, why it was rejected, and what it held (JSON)."""

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    source_row: Series[np.int64] = pa.Field(ge=0)
    reason: Series[str]
    content: Series[str]


class SideSeries(_Table):
    """Side series in long form; `symbol` is empty for a market-wide series. A value is missing where a series that has
    been silent for too long is not known any more."""

    series: Series[str]
    symbol: Series[str]
    known_at: Series[Instant]
    value: Series[float] = pa.Field(nullable=True)

    class Config(_Table.Config):
        unique = ["series", "symbol", "known_at"]


class SideVintages(_Table):
    """Values of side series as they were published: of which period or event (`reference_at`), and when (`known_at`).

    A later `known_at` for one `reference_at` is a revision; what is scheduled ahead is known before its reference.
    """

    series: Series[str]
    symbol: Series[str]
    reference_at: Series[Instant]
    known_at: Series[Instant]
    value: Series[float] = pa.Field(gt=-np.inf, lt=np.inf)

    class Config(_Table.Config):
        unique = ["series", "symbol", "reference_at", "known_at"]


class Features(_Table):
    """float32 features of one symbol; NaN while a feature warms up."""

    symbol: Series[str]
    timestamp: Series[Instant]

    class Config(_Table.Config):
        strict = False

    @pa.dataframe_check
    @classmethod
    def one_symbol_each_instant_once_in_order(cls, table: pd.DataFrame) -> bool:
        """Instead of `unique`, which would take a third of the table's memory again."""
        instants = table["timestamp"]
        return bool(instants.is_monotonic_increasing and instants.is_unique and table["symbol"].nunique() <= 1)


class Labels(_Table):
    """Labels of one symbol, by any method.

    `forward_return` is the log return from the next bar's open to the close at `horizon_end`, beyond which nothing
    has been looked at; `exit_time` is when the label is decided (a barrier touched, else the horizon's end).
    """

    symbol: Series[str]
    timestamp: Series[Instant]
    label: Series[np.int8] = pa.Field(isin=[-1, 0, 1])
    forward_return: Series[float]
    exit_time: Series[Instant]
    horizon_end: Series[Instant]
    barrier: Series[str] = pa.Field(isin=["upper", "lower", "vertical", "ambiguous"])
    weight: Series[float] = pa.Field(ge=0)

    class Config(_Table.Config):
        unique = ["symbol", "timestamp"]

    known_before_exit = _not_after("timestamp", "exit_time")
    exit_within_horizon = _not_after("exit_time", "horizon_end")


class ModelInput(_Table):
    """Features and labels of one symbol side by side. A row whose horizon leaves the data or the segment has no label:
    it is forecast and never learned from; label, forward return, weight and instants are missing together."""

    symbol: Series[str]
    timestamp: Series[Instant]
    label: Series[pd.Int8Dtype] = pa.Field(isin=[-1, 0, 1], nullable=True)
    forward_return: Series[float] = pa.Field(nullable=True)
    exit_time: Series[Instant] = pa.Field(nullable=True)
    horizon_end: Series[Instant] = pa.Field(nullable=True)
    weight: Series[float] = pa.Field(ge=0, nullable=True)

    class Config(_Table.Config):
        strict = False
        unique = ["symbol", "timestamp"]

    @pa.dataframe_check(name="a label is missing with all that belongs to it")
    def is_whole(cls, table: pd.DataFrame) -> bool:  # noqa: N805
        """Missing in all of the label's columns or in none."""
        missing = table[["label", "forward_return", "exit_time", "horizon_end", "weight"]].isna()
        return bool((missing.all(axis=1) | ~missing.any(axis=1)).all())


class HorizonReturns(_Table):
    """Log returns over several horizons of one symbol: a column `forward_return_N` for each N bars, beside the keys."""

    symbol: Series[str]
    timestamp: Series[Instant]

    class Config(_Table.Config):
        strict = False
        unique = ["symbol", "timestamp"]

    @pa.dataframe_check(name="returns are finite or missing")
    def is_finite(cls, table: pd.DataFrame) -> bool:  # noqa: N805
        """Every other column is a log return."""
        return not np.isinf(table.drop(columns=["symbol", "timestamp"]).to_numpy(dtype=np.float64)).any()


class Folds(_Table):
    """Half-open windows [start, end) in `timestamp`; `purge` and `embargo` are durations."""

    fold: Series[np.int64] = pa.Field(ge=0, unique=True)
    train_start: Series[Instant]
    train_end: Series[Instant]
    test_start: Series[Instant]
    test_end: Series[Instant]
    purge: Series[np.dtype("timedelta64[ms]")]
    embargo: Series[np.dtype("timedelta64[ms]")]
    role: Series[str] = pa.Field(isin=["walk_forward", "holdout"])

    train_before_test = _not_after("train_end", "test_start")


class Forecasts(_Table):
    """Out-of-sample forecasts of any model family; quantiles and expected return may be missing.

    `seed` is the training's; `path` the number of a combinatorial path, -1 for the order of history.
    """

    model: Series[str]
    family: Series[str]
    seed: Series[np.int64]
    path: Series[np.int64] = pa.Field(ge=-1)
    fold: Series[np.int64]
    symbol: Series[str]
    timestamp: Series[Instant]
    horizon: Series[np.int64] = pa.Field(gt=0)
    p_down: Series[float] = pa.Field(ge=0, le=1)
    p_flat: Series[float] = pa.Field(ge=0, le=1)
    p_up: Series[float] = pa.Field(ge=0, le=1)
    expected_return: Series[float] = pa.Field(nullable=True)
    q05: Series[float] = pa.Field(nullable=True)
    q25: Series[float] = pa.Field(nullable=True)
    q50: Series[float] = pa.Field(nullable=True)
    q75: Series[float] = pa.Field(nullable=True)
    q95: Series[float] = pa.Field(nullable=True)

    class Config(_Table.Config):
        unique = ["model", "seed", "path", "symbol", "timestamp", "horizon"]

    @pa.dataframe_check(name="probabilities sum to 1")
    def is_distribution(cls, forecasts: pd.DataFrame) -> Series[bool]:  # noqa: N805
        """The three classes exhaust the outcomes."""
        return (forecasts[["p_down", "p_flat", "p_up"]].sum(axis=1) - 1).abs() < 1e-6


class HorizonForecasts(_Table):
    """Out-of-sample quantiles of the log return at several horizons, and the evidence behind the classes (missing
    where a model does not give it)."""

    model: Series[str]
    family: Series[str]
    seed: Series[np.int64]
    path: Series[np.int64] = pa.Field(ge=-1)
    fold: Series[np.int64]
    symbol: Series[str]
    timestamp: Series[Instant]
    horizon: Series[np.int64] = pa.Field(gt=0)
    q05: Series[float]
    q25: Series[float]
    q50: Series[float]
    q75: Series[float]
    q95: Series[float]
    evidence: Series[float] = pa.Field(ge=0, nullable=True)

    class Config(_Table.Config):
        unique = ["model", "seed", "path", "symbol", "timestamp", "horizon"]

    @pa.dataframe_check(name="quantiles do not cross")
    def is_ordered(cls, forecasts: pd.DataFrame) -> Series[bool]:  # noqa: N805
        """A higher level is nowhere below a lower one."""
        levels = forecasts[["q05", "q25", "q50", "q75", "q95"]].to_numpy()
        return pd.Series((np.diff(levels, axis=1) >= 0).all(axis=1), index=forecasts.index)


class Positions(_Table):
    """Target positions as a share of equity, decided at `timestamp`, filled at the next open or later.

    `family` is the model's, or agent, baseline, strategy (a rule of one's own) or oracle; `seed` the training's, -1
    where none or the mean of several is held; `path` the number of a combinatorial path, -1 for the order of history.
    """

    strategy: Series[str]
    family: Series[str]
    seed: Series[np.int64] = pa.Field(ge=-1)
    path: Series[np.int64] = pa.Field(ge=-1)
    symbol: Series[str]
    timestamp: Series[Instant]
    target: Series[float] = pa.Field(ge=-1, le=1)

    class Config(_Table.Config):
        unique = ["strategy", "seed", "path", "symbol", "timestamp"]


class Transitions(_Table):
    """Every bar of an agent's test windows with its decision, for offline learning.

    `target` was decided at `timestamp`, on the forecasts and the account as seen then (`observed_...`, in the units of
    `rl.rules.EnvironmentRules`); net, gross, cost, funding, position (at the close) and turnover are those of the bar
    that ends at `timestamp`, as shares of the equity before it. The reward of a decision is the net of the next row.
    """

    strategy: Series[str]
    seed: Series[np.int64]
    fold: Series[np.int64]
    symbol: Series[str]
    timestamp: Series[Instant]
    target: Series[float]
    net: Series[float]
    turnover: Series[float] = pa.Field(ge=0)

    class Config(_Table.Config):
        strict = False
        unique = ["strategy", "seed", "symbol", "timestamp"]


class Backtest(_Table):
    """Per-bar account of one strategy and symbol; net = gross - cost - funding, as shares of prior equity."""

    strategy: Series[str]
    symbol: Series[str]
    timestamp: Series[Instant]
    position: Series[float]
    gross: Series[float]
    cost: Series[float] = pa.Field(ge=0)
    funding: Series[float]
    net: Series[float]
    equity: Series[float] = pa.Field(ge=0)

    class Config(_Table.Config):
        unique = ["strategy", "symbol", "timestamp"]


class Leaderboard(_Table):
    """One row a strategy: the measures of `metrics.risk`, each with its interval (`NAME_low`, `NAME_high`; missing
    where there are fewer than two days); what the verdict reads is required by name."""

    strategy: Series[str] = pa.Field(unique=True)
    family: Series[str]
    sharpe: Series[float]
    sharpe_low: Series[float] = pa.Field(nullable=True)
    sharpe_high: Series[float] = pa.Field(nullable=True)
    total_return: Series[float]
    max_drawdown: Series[float] = pa.Field(ge=0, le=1)
    probabilistic_sharpe: Series[float] = pa.Field(nullable=True)
    trades: Series[int]
    bars: Series[int]
    days: Series[int]

    @pa.dataframe_check(name="every bound of an interval has its measure and its other bound, low <= high")
    def _intervals_are_whole(cls, table: pd.DataFrame) -> bool:  # noqa: N805
        lows = {str(name).removesuffix("_low") for name in table.columns if str(name).endswith("_low")}
        highs = {str(name).removesuffix("_high") for name in table.columns if str(name).endswith("_high")}
        return lows == highs <= set(table.columns) and not any(
            (table[f"{name}_low"] > table[f"{name}_high"]).any() for name in lows
        )

    class Config(_Table.Config):
        strict = False
