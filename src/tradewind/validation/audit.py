"""The leak audit of a whole run: whatever comes after a cut, nothing at or before it may move.

From received rows to positions, the run is repeated on histories that end at the cut, on histories that are all noise
after it, and on histories that go the opposite way. What the original run knew at or before the cut must be the same
in all, value by value: bars, features, labels that have ended, model input, forecasts and every strategy's positions.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from tradewind.compute import executor, track
from tradewind.learning.models.base import feature_names
from tradewind.market.timeframes import bar_duration_ms
from tradewind.trading.strategy import baselines
from tradewind.validation.research_run import (
    Products,
    RunSettings,
    Sources,
    Steps,
    Tables,
    make_bars,
    make_features,
    run_research,
)

logger = logging.getLogger(__name__)
History = Literal["truncated", "changed", "mirrored"]
HISTORIES: tuple[History, ...] = ("changed", "mirrored", "truncated")
# Comparisons, not strategies: made of the model's own positions of all times, and of the simulator's answer.
NOT_TRADED = (baselines.RANDOM, baselines.MATCHED, baselines.ORACLE)
RELATIVE = 1e-6  # features are single precision
PRICES, AMOUNTS = ("open", "high", "low", "close"), ("volume", "quote_volume", "trades")
KEYS = {
    "bars": ["symbol", "timestamp"], "features": ["symbol", "timestamp"], "labels": ["symbol", "timestamp"],
    "model_input": ["symbol", "timestamp"], "forecasts": ["model", "fold", "symbol", "timestamp"],
    "positions": ["symbol", "timestamp"],
}  # fmt: skip


@dataclass(frozen=True)
class Leak:
    """A value at or before the cut that moved: where, and how the history after the cut was other."""

    product: str
    name: str  # column, or strategy
    history: History
    cut: pd.Timestamp
    first: pd.Timestamp
    symbol: str
    detail: str


@dataclass
class Findings:
    """All leaks, and how many values were compared, by product and name."""

    leaks: list[Leak] = field(default_factory=list)
    compared: dict[tuple[str, str], int] = field(default_factory=dict)
    cuts: tuple[pd.Timestamp, ...] = ()

    @property
    def leaking(self) -> dict[tuple[str, str], Leak]:
        """The first leak of each product and name."""
        first: dict[tuple[str, str], Leak] = {}
        for leak in self.leaks:
            first.setdefault((leak.product, leak.name), leak)
        return first


def audit_settings(parameters: Mapping[str, Any]) -> RunSettings:
    """The project's own settings, but for a search and trees that are small: what is looked at is not how well they
    forecast, but what they know."""
    settings = RunSettings.from_parameters(parameters)
    return settings.changed(
        tuning=settings.tuning.model_copy(update={"n_trials": 2, "max_rounds": 40, "row_stride": 16}),
        training=settings.training.model_copy(
            update={"max_rounds": 40, "early_stopping_rounds": 20, "row_stride": 8, "fits_side_by_side": 1}
        ),
    )


def audit_run(
    sources: Sources,
    settings: RunSettings,
    steps: Steps | None = None,
    n_cuts: int = 8,
    workers: int = 1,
    stop_at_first: bool = False,
) -> Findings:
    """Everything that moved, over `n_cuts` cuts with three histories each.

    Cuts lie shortly after the starts of test windows (where a training that was not purged shows), inside them, inside
    the first training window, within the features' warm-up and near the end. `stop_at_first` ends with the first pass
    that finds a leak.

    Args:
        sources: the received rows of bars and side series.
        settings: parameters of the run.
        steps: the steps of a run; None takes the library's own, a planted leak replaces one.
        n_cuts: instants after which the future is changed.
        workers: processes.
        stop_at_first: end with the first pass that finds a leak.
    """
    steps = steps or Steps()
    sources = replace(sources, oracle=sources.oracle.iloc[:0])
    whole = run_research(sources, settings, steps)
    cuts = choose_cuts(whole, sources, n_cuts)
    passes = [(cut, history) for cut in cuts for history in HISTORIES]
    found = Findings(cuts=tuple(cuts))

    def one(at: tuple[pd.Timestamp, History]) -> list[tuple[str, str, int, Leak | None]]:
        return list(_compare(whole, sources, settings, steps, *at))

    with executor("threads" if workers > 1 else "serial", workers) as on:
        results = iter(on.map(one, passes)) if not stop_at_first else map(one, passes)
        for _, rows in zip(track(range(len(passes)), "audit: histories"), results, strict=False):
            for product, name, compared, leak in rows:
                found.compared[product, name] = found.compared.get((product, name), 0) + compared
                if leak is not None:
                    found.leaks.append(leak)
            if stop_at_first and found.leaks:
                break
    return found


def choose_cuts(whole: Products, sources: Sources, n_cuts: int) -> list[pd.Timestamp]:
    """So many instants, those first that show most.

    Args:
        whole: the products of the run on the unchanged history.
        sources: the received rows.
        n_cuts: how many instants.
    """
    bar = sources.universe.bar
    # Of the symbol that begins last: before it there is no run to compare.
    instants = max((table["timestamp"] for table in whole.bars.values()), key=lambda column: column.iloc[0])
    folds = whole.folds.sort_values("test_start")
    middle = [row.test_start + (row.test_end - row.test_start) / 2 for row in folds.itertuples()]
    start = [row.test_start + 3 * bar for row in folds.itertuples()]
    chosen = [middle[0], start[-1], instants.iloc[min(60, len(instants) - 1)], start[0], instants.iloc[-30]]
    chosen += [folds["test_start"].iloc[0] - 50 * bar, *middle[1:], *start[1:-1]]
    # On a bar's own close: what lies between two closes is known at neither.
    places = np.searchsorted(instants.dt.tz_localize(None), [cut.tz_localize(None) for cut in chosen[:n_cuts]])
    return list(dict.fromkeys(instants.iloc[np.minimum(places, len(instants) - 1)]))


def truncated(sources: Sources, cut: pd.Timestamp) -> Sources:
    """What had been received at the cut, and no more."""
    side = sources.side_series
    bars = {name: table[~_is_later(table, sources, cut)].reset_index(drop=True) for name, table in sources.bars.items()}
    return replace(sources, bars=bars, side_series=side[side["known_at"] <= cut].reset_index(drop=True))


def changed(sources: Sources, cut: pd.Timestamp) -> Sources:
    """The same until the cut; after it every price, amount and side value is another one."""
    rng = np.random.default_rng(int(cut.timestamp()))
    bars = {}
    for name, table in sources.bars.items():
        later = _is_later(table, sources, cut)
        price = np.exp(rng.normal(0.0, 0.1, len(table)))
        amount = np.exp(rng.normal(0.0, 1.0, len(table)))
        other = table.copy()
        for column in [*PRICES, *AMOUNTS]:
            if column in table:
                factor = price if column in PRICES else amount
                values = pd.to_numeric(table[column], errors="coerce") * factor
                # What is no number stays as it was received.
                other[column] = table[column].where(~later | values.isna(), values)
        bars[name] = other
    side = sources.side_series
    moved = side["value"].where(side["known_at"] <= cut, -1.7 * side["value"] + rng.normal(0, 1e-4, len(side)))
    return replace(sources, bars=bars, side_series=side.assign(value=moved))


def mirrored(sources: Sources, cut: pd.Timestamp) -> Sources:
    """The same until the cut; after it prices rise where they fell. Whatever was learned from what follows, such as
    which parameters do best, is now the opposite."""
    bars = {}
    for name, table in sources.bars.items():
        later = _is_later(table, sources, cut)
        price = table[list(PRICES)].apply(pd.to_numeric, errors="coerce")
        known = price.loc[~later, "close"].dropna()
        about = float(known.iloc[-1]) ** 2 if len(known) else 1.0
        other = table.copy()
        for column, source in zip(PRICES, ("open", "low", "high", "close"), strict=True):
            values = about / price[source]
            other[column] = table[column].where(~later | values.isna() | (price[source] <= 0), values)
        bars[name] = other
    return replace(sources, bars=bars)


def _is_later(table: pd.DataFrame, sources: Sources, cut: pd.Timestamp) -> pd.Series:
    opened = table["open_time"]
    if isinstance(opened.dtype, pd.DatetimeTZDtype):
        return opened + sources.universe.bar > cut
    closed = pd.to_numeric(opened, errors="coerce") + bar_duration_ms(sources.universe.timeframe)
    return closed > cut.timestamp() * 1000


def _compare(
    whole: Products, sources: Sources, settings: RunSettings, steps: Steps, cut: pd.Timestamp, history: History
) -> Iterator[tuple[str, str, int, Leak | None]]:
    """(product, name, values compared, leak or None) for everything that was known at the cut."""
    other = {"truncated": truncated, "changed": changed, "mirrored": mirrored}[history](sources, cut)
    bar = sources.universe.bar
    life = (settings.labels.horizon_bars + 2) * bar
    folds = whole.folds[whole.folds["test_start"] <= cut - life].reset_index(drop=True)
    if folds.empty:
        yield from _compare_tables(whole, _features_only(other, settings, steps), cut, history)
        return
    found = run_research(other, settings, steps, folds if history == "truncated" else None)
    yield from _compare_tables(whole, (found.bars, found.features, found.labels), cut, history)
    yield from _moved("model_input", whole.model_input, found.model_input, cut, cut, history, ended=True)
    # What is forecast must not depend on whether its label will ever be known.
    names = feature_names(next(iter(whole.model_input.values())))
    keyed = [*KEYS["model_input"], *names]
    mine, theirs = ({key: table[keyed] for key, table in one.items()} for one in (whole.model_input, found.model_input))
    yield from _moved("model_input", mine, theirs, cut, cut, history)
    # A truncated history has only the folds whose tests it reaches.
    last = folds["test_end"].iloc[-1] - pd.Timedelta(1, unit="ms")
    forecast_until = min(cut, last) if history == "truncated" else cut
    yield from _moved("forecasts", {"": whole.forecasts}, {"": found.forecasts}, cut, forecast_until, history)
    for strategy, table in whole.positions.items():
        if strategy not in NOT_TRADED:
            mine, theirs = (
                {strategy: one[["symbol", "timestamp", "target"]]} for one in (table, found.positions[strategy])
            )
            for _, _, compared, leak in _moved("positions", mine, theirs, cut, forecast_until, history):
                yield "positions", strategy, compared, replace(leak, name=strategy) if leak else None


def _features_only(sources: Sources, settings: RunSettings, steps: Steps) -> tuple[Tables, Tables, Tables]:
    bars, side_series = make_bars(sources, settings, steps)
    features = make_features(bars, side_series, sources.universe, settings, steps)
    return bars, features, {}


def _compare_tables(
    whole: Products, found: tuple[Tables, Tables, Tables], cut: pd.Timestamp, history: History
) -> Iterator[tuple[str, str, int, Leak | None]]:
    bars, features, labels = found
    yield from _moved("bars", whole.bars, bars, cut, cut, history)
    yield from _moved("features", whole.features, features, cut, cut, history)
    if labels:
        yield from _moved("labels", whole.labels, labels, cut, cut, history, ended=True)


def _moved(
    product: str, whole: Tables, found: Tables, cut: pd.Timestamp, until: pd.Timestamp, history: History,
    ended: bool = False,
) -> Iterator[tuple[str, str, int, Leak | None]]:  # fmt: skip
    """Column by column over all partitions; the first difference of each. `ended` asks for labels that have ended."""
    keys, compared = KEYS[product], dict[str, int]()
    leaks: dict[str, Leak] = {}
    for partition, table in whole.items():
        mine, theirs = (_known(one, until, cut, ended).set_index(keys) for one in (table, found[partition]))
        lacking = mine.index.symmetric_difference(theirs.index)
        if len(lacking):
            at = dict(zip(keys, lacking[0], strict=True))
            detail = f"{len(lacking)} rows are in one of the two histories only"
            leaks.setdefault("rows", Leak(product, "rows", history, cut, at["timestamp"], str(at["symbol"]), detail))
        both = mine.index.intersection(theirs.index)
        mine, theirs = mine.loc[both], theirs.loc[both]
        for column in mine.columns:
            compared[column] = compared.get(column, 0) + len(both)
            if column not in theirs:
                detail = "the column is in one of the two histories only"
                leaks.setdefault(column, Leak(product, column, history, cut, cut, partition, detail))
                continue
            row = _first_difference(mine[column], theirs[column])
            if row is not None:
                at = dict(zip(keys, both[row], strict=True))
                detail = f"{_text(theirs[column].iloc[row])} instead of {_text(mine[column].iloc[row])}"
                leaks.setdefault(
                    column, Leak(product, column, history, cut, at["timestamp"], str(at["symbol"]), detail)
                )
    if "rows" in leaks:
        yield product, "rows", 0, leaks["rows"]
    for column, count in compared.items():
        yield product, column, count, leaks.get(column)


def _known(table: pd.DataFrame, until: pd.Timestamp, cut: pd.Timestamp, ended: bool) -> pd.DataFrame:
    known = table["timestamp"] <= until
    return table[known & (table["horizon_end"] <= cut)] if ended else table[known]


def _first_difference(mine: pd.Series, theirs: pd.Series) -> int | None:
    if pd.api.types.is_float_dtype(mine.dtype):
        a, b = mine.to_numpy(dtype=np.float64), theirs.to_numpy(dtype=np.float64)
        same = (a == b) | (np.abs(a - b) <= RELATIVE * np.abs(a)) | (np.isnan(a) & np.isnan(b))
    else:
        same = (mine.eq(theirs) | (mine.isna() & theirs.isna())).to_numpy()
    return None if same.all() else int(np.argmin(same))


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


WARM_UPS = (199, 399, 999, 1999)


def warm_up(
    sources: Sources, settings: RunSettings, lengths: Sequence[int] = WARM_UPS, n_places: int = 4
) -> pd.DataFrame:
    """feature, bars, missing, worst: what each feature says after so many bars of history only.

    `missing` is the share of symbols and places where it has no value yet, `worst` the largest deviation from what the
    whole history says, in standard deviations of the feature (NaN where it has no value). A value that deviates is a
    feature that speaks before it has warmed up: a live system that has loaded so many bars would trade on something
    else than was tested.

    Args:
        sources: the received rows.
        settings: parameters of the run.
        lengths: bars of history that are kept.
        n_places: instants at which features are compared.
    """
    bars, side_series = make_bars(sources, settings, Steps())
    whole = make_features(bars, side_series, sources.universe, settings, Steps())
    # Of the symbol that begins last: at its instants every symbol has bars.
    instants = max((table["timestamp"] for table in bars.values()), key=lambda column: column.iloc[0])
    last_row = len(instants) - 1
    ends = [int(place) for place in np.linspace(min(max(lengths), last_row), last_row, n_places)]
    names = [name for name in next(iter(whole.values())).columns if name not in ("symbol", "timestamp")]
    spread = pd.concat([table[names] for table in whole.values()]).std().replace(0.0, np.nan).to_numpy()
    rows = []
    for length in track(list(lengths), "audit: warm-up"):
        deviations, missing = [], []
        for end in ends:
            last = instants.iloc[end]
            part = {name: table[table["timestamp"] <= last].tail(length) for name, table in bars.items()}
            short = make_features(part, side_series, sources.universe, settings, Steps())
            for name, table in short.items():
                usual = whole[name].set_index("timestamp").loc[table["timestamp"].iloc[-1], names].to_numpy(np.float64)
                now = table[names].iloc[-1].to_numpy(np.float64)
                missing.append(np.isnan(now) & ~np.isnan(usual))
                deviations.append(np.where(np.isnan(now) & np.isnan(usual), 0.0, np.abs(now - usual) / spread))
        with np.errstate(all="ignore"):
            worst = np.nanmax(np.where(np.isnan(deviations), -1.0, deviations), axis=0)
        share = np.mean(missing, axis=0)
        rows.append(
            pd.DataFrame(
                {"feature": names, "bars": length, "missing": share, "worst": np.where(worst < 0, np.nan, worst)}
            )
        )
    return pd.concat(rows, ignore_index=True)
