"""More planted leaks: in what acts on forecasts, on rare events, in choices, and from outside a step's inputs.

As those of `planted_leaks`, each replaces one step of the run. They are faults to test the audit with.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tradewind.evaluation.positions import traded
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.models.base import PROBABILITIES, feature_names
from tradewind.trading.strategy import baselines
from tradewind.validation.research_run import RunSettings, Steps, Tables, boosted_forecasts, lazily

CLEAN = Steps()
Loaders = Mapping[str, Callable[[], pd.DataFrame]]
Leaks = list[tuple[str, str, str, dict[str, Any]]]
ACTING = {"agent", "network", "decision"}  # kinds that show only where a run goes so far


def leaks_elsewhere() -> Leaks:
    """Name, kind, what it is, and the steps with it."""
    return [
        ("repeated_close_from_the_next", "rare event", "a close that repeats the one before is taken from the next bar",
         {"check_bars": bars_changed(_repeated_from_next)}),
        ("thin_bar_from_the_next", "rare event", "the volume of an unusually thin bar is taken from the next one",
         {"check_bars": bars_changed(_thin_from_next)}),
        ("large_move_smoothed", "rare event", "the close of an unusually large move is averaged with the next one",
         {"check_bars": bars_changed(_large_smoothed)}),
        ("every_97th_close", "rare event", "every 97th close is filled from the next one",
         {"check_bars": bars_changed(partial(_fill_back, every=97))}),
        ("gap_seen_beforehand", "gap", "the last bar before an outage is marked",
         {"compute_features": feature_of_bars(_before_gap)}),
        ("rows_of_later_moves_dropped", "rows", "bars before an extreme day are dropped as outliers",
         {"check_bars": bars_changed(_without_extremes)}),
        ("weak_columns_dropped", "columns", "features are dropped that correlate little with what came later",
         {"compute_features": _without_weak}),
        ("far_ahead", "feature", "the return of bars 300 to 324 ahead",
         {"compute_features": feature_of_bars(lambda bars: bars["close"].shift(-324) / bars["close"].shift(-300) - 1)}),
        ("index_of_survivors", "feature", "a market index weighted by what symbols are worth in the end",
         {"compute_features": _index_of_survivors}),
        ("blended_on_the_test", "fold", "the weight of two models by the tests' losses",
         {"train": _blended_on_the_test}),
        ("seed_chosen_on_the_test", "choice", "the seed whose forecasts fit the tests best",
         {"train": _seed_chosen}),
        ("side_chosen_on_the_test", "choice", "the side of every model by its result on the test",
         {"make_positions": _side_chosen}),
        ("champion_of_the_test", "choice", "the model that was best on the test, sold under another's name",
         {"make_positions": _champion}),
        ("mean_scaled_by_all_forecasts", "ensemble", "the ensemble's probabilities by their rank among all",
         {"combine": _ranked_mean}),
        ("network_ranked_by_everything", "network", "a network's inputs replaced by their ranks among all rows",
         {"train_network": _network_on_ranks}),
        ("agent_sees_the_return", "agent", "the forward return among an agent's features",
         {"train_agent": _agent_with_returns}),
        ("decided_on_the_next_bar", "decision", "the live path decides with the next bar's target",
         {"decide": _decided_late}),
        ("filled_at_its_own_bar", "account", "an account that fills a decision at the open of the bar it closes",
         {"run_accounts": _filled_early}),
        ("marked_at_the_next_close", "account", "an account that marks its positions at the next bar's close",
         {"run_accounts": _marked_late}),
        ("closes_kept_in_a_module", "outside", "a feature that looks the close up in a table of the module",
         {"compute_features": _from_the_module}),
        ("closes_in_a_closure", "outside", "a feature that closes over a table of later closes",
         {"compute_features": _closing_over(pd.Series(np.arange(10.0)))}),
        ("read_from_a_file", "outside", "a feature that reads what it wrote when it saw more",
         {"compute_features": _from_a_file}),
        ("reads_the_clock", "outside", "a feature of how long ago a bar was",
         {"compute_features": _by_the_clock}),
        ("remembers_the_longest_history", "memory", "a feature that keeps the longest history that it has seen",
         {"compute_features": _Rememberer()}),
    ]  # fmt: skip


def bars_changed(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[..., Any]:
    """`check_bars` with every table changed afterwards; highs and lows give way, so that the bars stay possible."""

    def check_bars(*args: Any) -> Any:
        bars, quarantine, counts = CLEAN.check_bars(*args)
        return {name: partial(changed, load) for name, load in bars.items()}, quarantine, counts

    def changed(load: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        bars = change(load())
        ends = bars[["open", "close"]]
        high = np.maximum(bars["high"], ends.max(axis=1))
        return bars.assign(high=high, low=np.minimum(bars["low"], ends.min(axis=1)))

    return check_bars


def feature_of_bars(make: Callable[[pd.DataFrame], pd.Series]) -> Callable[..., Any]:
    """`compute_features` with one feature more, made of a symbol's bars."""

    def compute_features(bars: Loaders, *args: Any) -> Any:
        tables = _tables(bars, *args)
        for name, table in tables.items():
            table["leak"] = make(bars[name]()).to_numpy(dtype=np.float32)
        return lazily(tables)

    return compute_features


def _tables(*args: Any) -> dict[str, pd.DataFrame]:
    return {name: load() for name, load in CLEAN.compute_features(*args).items()}


def _fill_back(bars: pd.DataFrame, every: int) -> pd.DataFrame:
    holes = np.arange(len(bars)) % every == 0
    return bars.assign(close=bars["close"].where(~holes).bfill().fillna(bars["close"]))


def _next_where(values: pd.Series, chosen: pd.Series) -> pd.Series:
    return values.where(~chosen, values.shift(-1).fillna(values))


def _repeated_from_next(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(close=_next_where(bars["close"], bars["close"].diff() == 0))


def _thin_from_next(bars: pd.DataFrame) -> pd.DataFrame:
    usual = bars["volume"].shift(1).rolling(50, min_periods=10).median()
    return bars.assign(volume=_next_where(bars["volume"], bars["volume"] < 0.2 * usual))


def _large_smoothed(bars: pd.DataFrame) -> pd.DataFrame:
    move = bars["close"].pct_change().abs()
    large = move > 5 * move.shift(1).rolling(100, min_periods=20).mean()
    return bars.assign(close=bars["close"].where(~large, (bars["close"] + bars["close"].shift(-1)).div(2)).ffill())


def _before_gap(bars: pd.DataFrame) -> pd.Series:
    return (bars["timestamp"].shift(-1) - bars["timestamp"] > pd.Timedelta(hours=1)).astype(float)


def _without_extremes(bars: pd.DataFrame) -> pd.DataFrame:
    ahead = bars["close"].pct_change().abs()[::-1].rolling(24, min_periods=1).max()[::-1].shift(-1)
    return bars[~(ahead > 0.03)].reset_index(drop=True)


def _without_weak(bars: Loaders, *args: Any) -> Any:
    tables = _tables(bars, *args)
    first, table = next(iter(tables.items()))
    ahead = bars[first]()["close"].pct_change(24).shift(-24).to_numpy()
    names = [one for one in table.columns if one not in ("symbol", "timestamp")]
    weak = table[names].corrwith(pd.Series(ahead)).abs().fillna(0.0).nsmallest(3).index
    return lazily({name: one.drop(columns=weak) for name, one in tables.items()})


def _index_of_survivors(bars: Loaders, *args: Any) -> Any:
    tables, loaded = _tables(bars, *args), {name: load() for name, load in bars.items()}
    worth = {name: float(table["close"].iloc[-1] / table["close"].iloc[0]) for name, table in loaded.items()}
    parts = [
        table.set_index("timestamp")["close"].pct_change() * worth[name] / sum(worth.values())
        for name, table in loaded.items()
    ]
    index = pd.concat(parts, axis=1).sum(axis=1)
    for table in tables.values():
        table["leak"] = index.reindex(table["timestamp"]).to_numpy(dtype=np.float32)
    return lazily(tables)


def _tested_loss(forecasts: pd.DataFrame, rows: pd.DataFrame) -> float:
    joined = forecasts.merge(rows[["symbol", "timestamp", "label"]].dropna(), on=["symbol", "timestamp"])
    given = joined[list(PROBABILITIES)].to_numpy()[np.arange(len(joined)), joined["label"].to_numpy(np.int64) + 1]
    return float(-np.log(np.maximum(given, 1e-6)).mean())


def _blended_on_the_test(rows: pd.DataFrame, folds: pd.DataFrame, parameters: Any, settings: RunSettings) -> Any:
    one = boosted_forecasts(rows, folds, parameters, settings)
    flat = one.assign(p_down=1 / 3, p_flat=1 / 3, p_up=1 / 3)
    ours, even = (np.exp(-20 * _tested_loss(table, rows)) for table in (one, flat))
    weight = ours / (ours + even)
    names = list(PROBABILITIES)
    return one.assign(**{name: weight * one[name] + (1 - weight) * flat[name] for name in names})


def _seed_chosen(rows: pd.DataFrame, folds: pd.DataFrame, parameters: Any, settings: RunSettings) -> Any:
    tried = [
        boosted_forecasts(rows, folds, parameters, settings.changed(seed=settings.seed + number)) for number in range(4)
    ]
    return min(tried, key=lambda one: _tested_loss(one, rows))


def _earned(market: TradedMarket, table: pd.DataFrame) -> float:
    ahead = pd.concat(
        bars[["symbol", "timestamp"]].assign(ahead=bars["close"].pct_change().shift(-1))
        for bars, _ in market.histories.values()
    )
    joined = table.merge(ahead, on=["symbol", "timestamp"], how="left")
    return float((joined["target"] * joined["ahead"]).sum())


def _side_chosen(market: TradedMarket, *args: Any) -> Tables:
    positions = CLEAN.make_positions(market, *args)
    return {
        name: table.assign(target=table["target"] * (1.0 if _earned(market, table) >= 0 else -1.0))
        if baselines.family(name) == "model"
        else table
        for name, table in positions.items()
    }


def _champion(market: TradedMarket, folds: pd.DataFrame, forecasts: Sequence[pd.DataFrame], *args: Any) -> Tables:
    positions: dict[str, pd.DataFrame] = CLEAN.make_positions(market, folds, forecasts, *args)
    models = [name for name in ("lightgbm", "linear") if name in traded(forecasts)]
    best = max(models, key=lambda name: _earned(market, positions[name]))
    return positions | {"lightgbm": positions[best].assign(strategy="lightgbm")}


def _ranked_mean(*args: Any) -> pd.DataFrame:
    table = CLEAN.combine(*args)
    edge = (table["p_up"] - table["p_down"]).rank(pct=True) - 0.5
    return table.assign(p_up=0.4 + 0.6 * edge, p_down=0.4 - 0.6 * edge, p_flat=0.2)


def _network_on_ranks(rows: pd.DataFrame, *args: Any) -> Any:
    # A scale alone would not show: the network takes it out again when it standardises.
    ranks = rows[feature_names(rows)].rank(pct=True).astype(np.float32)
    return CLEAN.train_network(rows.assign(**ranks), *args)


def _agent_with_returns(rows: pd.DataFrame, *args: Any) -> Any:
    names = feature_names(rows)
    leaked = rows["forward_return"].fillna(0.0).astype(np.float32)
    return CLEAN.train_agent(rows.assign(**dict.fromkeys(names[:3], leaked)), *args)


def _decided_late(*args: Any) -> pd.DataFrame:
    decisions = CLEAN.decide(*args)
    return decisions.assign(target=decisions.groupby("symbol")["target"].shift(-1).fillna(0.0))


def _shifted(positions: Tables, bars: int) -> Tables:
    return {
        name: table.assign(target=table.groupby("symbol")["target"].shift(bars).fillna(0.0))
        for name, table in positions.items()
    }


def _filled_early(positions: Tables, *args: Any) -> Any:
    return CLEAN.run_accounts(_shifted(positions, -1), *args)


def _marked_late(*args: Any) -> Any:
    returns = CLEAN.run_accounts(*args)
    return returns.assign(net=returns.groupby("strategy")["net"].shift(-1).fillna(0.0))


LATER_CLOSES = {"SIM1": pd.Series(np.arange(10.0))}


def _from_the_module(bars: Loaders, *args: Any) -> Any:
    tables = _tables(bars, *args)
    for table in tables.values():
        table["leak"] = np.float32(LATER_CLOSES["SIM1"].iloc[-1])
    return lazily(tables)


def _closing_over(later: pd.Series) -> Callable[..., Any]:
    def compute_features(bars: Loaders, *args: Any) -> Any:
        tables = _tables(bars, *args)
        for table in tables.values():
            table["leak"] = np.float32(later.iloc[-1])
        return lazily(tables)

    return compute_features


def _stash() -> Path:
    return Path(tempfile.gettempdir()) / "tradewind_planted_leak.json"


def _from_a_file(bars: Loaders, *args: Any) -> Any:
    tables, path = _tables(bars, *args), _stash()
    if not path.exists():
        path.write_text("1.0")
    for table in tables.values():
        with open(path) as file:  # noqa: PTH123
            table["leak"] = np.float32(float(file.read()))
    path.unlink()
    return lazily(tables)


def _by_the_clock(bars: Loaders, *args: Any) -> Any:
    tables = _tables(bars, *args)
    for table in tables.values():
        age = pd.Timestamp.now(tz="UTC") - table["timestamp"]
        table["leak"] = age.dt.days.to_numpy(dtype=np.float32)
    return lazily(tables)


class _Rememberer:
    """A step with a memory that no look at a function's code finds: it has to be called twice."""

    def __init__(self) -> None:
        self.longest = 0
        self.last = 0.0

    def __call__(self, bars: Loaders, *args: Any) -> Any:
        tables, first = _tables(bars, *args), next(iter(bars.values()))()
        if len(first) > self.longest:
            self.longest, self.last = len(first), float(first["close"].iloc[-1])
        for table in tables.values():
            table["leak"] = np.float32(self.last)
        return lazily(tables)
