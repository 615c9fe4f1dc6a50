"""Leaks planted on purpose, one step of the run replaced by each: what the audit must catch, by name.

Each is a mistake that research code is known to make. They are faults to test the audit with, never to be used.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import PROBABILITIES, Sample, feature_names
from tradewind.learning.models.boosting import BoostingParameters
from tradewind.learning.models.linear import fit_linear
from tradewind.learning.models.walk_forward import split_training
from tradewind.learning.splits.purged import test_mask, training_mask
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market
from tradewind.market.universe import Universe
from tradewind.validation.audit import audit_run
from tradewind.validation.comparing import Leak
from tradewind.validation.planted_elsewhere import ACTING, Loaders, bars_changed, leaks_elsewhere
from tradewind.validation.planted_regimes import leaks_of_regimes
from tradewind.validation.research_run import MODEL, RunSettings, Sources, Steps, Tables, boosted_forecasts, lazily

CLEAN = Steps()


@dataclass(frozen=True)
class PlantedLeak:
    """A mistake: where in the run it sits, and the steps with it."""

    name: str
    kind: str
    what: str
    steps: Steps


def planted_leaks() -> list[PlantedLeak]:
    """All of them."""
    every = [*_leaks(), *leaks_elsewhere(), *leaks_of_regimes()]
    return [PlantedLeak(name, kind, what, replace(CLEAN, **steps)) for name, kind, what, steps in every]


def _leaks() -> list[tuple[str, str, str, dict[str, Any]]]:
    return [
        ("clipped_at_whole_sample_quantile", "data", "volumes clipped at a quantile of the whole history",
         {"check_bars": bars_changed(_clip_volume)}),
        ("prices_smoothed_on_both_sides", "data", "closes smoothed by a centred mean",
         {"check_bars": bars_changed(_smooth_close)}),
        ("stamped_with_opening_time", "data", "bars said to be known when they open",
         {"check_bars": bars_changed(_stamp_open)}),
        ("gaps_filled_backwards", "data", "every tenth close missing and filled from the next one",
         {"check_bars": bars_changed(_fill_back)}),
        ("unfinished_slow_bar", "resampling", "the close of a 4 h bar joined to all of its hours",
         {"compute_features": _feature_added(_slow_close)}),
        ("range_of_the_whole_day", "resampling", "the day's high and low joined to all of its hours",
         {"compute_features": _feature_added(_day_range)}),
        ("side_series_before_publication", "join", "side series known a day before they are published",
         {"select_side_series": _known_a_day_early}),
        ("side_series_nearest", "join", "the nearest value of a side series, before or after",
         {"compute_features": _features_with_nearest}),
        ("last_revision_everywhere", "join", "each month's last value of a side series known all month",
         {"select_side_series": _last_of_month}),
        ("next_return", "feature", "the return of the next bar",
         {"compute_features": _feature_added(lambda close: close.shift(-1) / close - 1)}),
        ("centred_window", "feature", "a mean over twelve bars before and after",
         {"compute_features": _feature_added(lambda close: close.rolling(25, center=True).mean() / close)}),
        ("ranked_over_the_history", "feature", "a rank among all bars that ever were and will be",
         {"compute_features": _feature_added(lambda close: close.rank(pct=True))}),
        ("smoothed_by_the_spectrum", "feature", "a Fourier low-pass filter over the whole history",
         {"compute_features": _feature_added(_low_pass)}),
        ("scaled_by_the_whole_history", "scaling", "features standardised by mean and deviation of all rows",
         {"compute_features": _standardised}),
        ("principal_components_of_everything", "scaling", "a principal component fitted on all rows",
         {"compute_features": _component}),
        ("label_among_the_features", "label", "the forward return left among the features",
         {"assemble_model_input": _with_forward_return}),
        ("rows_whose_label_will_end", "label", "only rows whose label will end are forecast: flat before every gap",
         {"assemble_model_input": _labelled_only}),
        ("barriers_by_whole_sample_volatility", "label", "labels by a threshold of the whole history's returns",
         {"make_labels": _labels_by_quantile}),
        ("label_said_to_end_at_once", "label", "labels whose horizon ends when it begins: purging does nothing",
         {"make_labels": _labels_ended_at_once}),
        ("training_not_purged", "fold", "training rows whose labels reach into the test window",
         {"train": _unpurged}),
        ("shuffled_folds", "fold", "rows divided at random, so that the future trains",
         {"train": _shuffled}),
        ("features_chosen_on_everything", "fold", "features chosen by their correlation with all labels",
         {"train": _chosen_on_everything}),
        ("tuned_on_the_test", "tuning", "parameters by the best score on the test windows",
         {"tune": _tuned_on_the_test}),
        ("stopped_by_the_test", "early stopping", "training ended where the test's loss was smallest",
         {"train": _stopped_by_the_test}),
        ("calibrated_on_the_test", "calibration", "probabilities shifted to the test windows' class shares",
         {"train": _calibrated_on_the_test}),
        ("threshold_of_all_forecasts", "position", "entries at a quantile of all forecasts, later ones included",
         {"make_positions": _threshold_of_all}),
        ("sized_by_future_volatility", "position", "positions sized by the volatility of the next day",
         {"make_positions": _sized_by_future}),
        ("traded_a_bar_early", "position", "positions of the next bar held on this one",
         {"make_positions": _a_bar_early}),
    ]  # fmt: skip


def _clip_volume(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(volume=bars["volume"].clip(upper=bars["volume"].quantile(0.95)))


def _smooth_close(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(close=bars["close"].rolling(3, center=True, min_periods=1).mean())


def _stamp_open(bars: pd.DataFrame) -> pd.DataFrame:
    lasts = bars["timestamp"] - bars["open_time"]
    return bars.assign(timestamp=bars["open_time"], open_time=bars["open_time"] - lasts)


def _fill_back(bars: pd.DataFrame) -> pd.DataFrame:
    holes = np.arange(len(bars)) % 10 == 0
    return bars.assign(close=bars["close"].where(~holes).bfill().fillna(bars["close"]))


def _feature_added(make: Callable[[pd.Series], pd.Series]) -> Callable[..., Any]:
    def compute_features(bars: Loaders, *args: Any) -> Any:
        tables = {name: load() for name, load in CLEAN.compute_features(bars, *args).items()}
        for name, table in tables.items():
            close = bars[name]().set_index("timestamp")["close"]
            table["leak"] = make(close).reindex(table["timestamp"]).to_numpy(dtype=np.float32)
        return lazily(tables)

    return compute_features


def _slow_close(close: pd.Series) -> pd.Series:
    slow = close.resample("4h", closed="right", label="left").last()
    return slow.reindex(close.index.ceil("4h") - pd.Timedelta(hours=4)).set_axis(close.index) / close


def _day_range(close: pd.Series) -> pd.Series:
    by_day = close.groupby(close.index.floor("D"))
    return (by_day.transform("max") - by_day.transform("min")) / close


def _low_pass(close: pd.Series) -> pd.Series:
    spectrum = np.fft.rfft(np.log(close.to_numpy()))
    spectrum[len(spectrum) // 50 :] = 0
    return pd.Series(np.fft.irfft(spectrum, len(close)), close.index) - np.log(close)


def _known_a_day_early(*args: Any) -> pd.DataFrame:
    side = CLEAN.select_side_series(*args)
    return side.assign(known_at=side["known_at"] - pd.Timedelta(1, unit="D"))


def _last_of_month(*args: Any) -> pd.DataFrame:
    side = CLEAN.select_side_series(*args)
    month = side["known_at"].dt.strftime("%Y-%m")
    return side.assign(value=side.groupby(["series", "symbol", month])["value"].transform("last"))


def _features_with_nearest(bars: Loaders, side_series: pd.DataFrame, *args: Any) -> Any:
    tables = {name: load() for name, load in CLEAN.compute_features(bars, side_series, *args).items()}
    sentiment = side_series[side_series["series"] == "sentiment"].sort_values("known_at")
    for table in tables.values():
        nearest = pd.merge_asof(
            table[["timestamp"]], sentiment, left_on="timestamp", right_on="known_at", direction="nearest"
        )
        table["leak"] = nearest["value"].to_numpy(dtype=np.float32)
    return lazily(tables)


def _values(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["symbol", "timestamp"])


def _standardised(*args: Any) -> Any:
    tables = {name: load() for name, load in CLEAN.compute_features(*args).items()}
    for name, table in tables.items():
        values = _values(table)
        scaled = (values - values.mean()) / values.std()
        tables[name] = pd.concat([table[["symbol", "timestamp"]], scaled], axis=1)
    return lazily(tables)


def _component(*args: Any) -> Any:
    tables = {name: load() for name, load in CLEAN.compute_features(*args).items()}
    for table in tables.values():
        values = _values(table).fillna(0.0).to_numpy(dtype=np.float64)
        centred = values - values.mean(axis=0)
        direction = np.linalg.svd(centred.T @ centred)[0][:, 0]
        table["leak"] = (centred @ direction).astype(np.float32)
    return lazily(tables)


def _with_forward_return(features: Loaders, labels: Loaders, *args: Any) -> Any:
    tables, counts = CLEAN.assemble_model_input(features, labels, *args)
    return {name: table.assign(leak=table["forward_return"]) for name, table in tables.items()}, counts


def _labelled_only(*args: Any) -> Any:
    tables, counts = CLEAN.assemble_model_input(*args)
    return {name: table[table["label"].notna()].reset_index(drop=True) for name, table in tables.items()}, counts


def _labels_by_quantile(*args: Any) -> Any:
    tables, counts = CLEAN.make_labels(*args)
    out = {}
    for name, table in tables.items():
        limit = table["forward_return"].abs().quantile(0.4)
        label = np.where(table["forward_return"].abs() < limit, 0, np.sign(table["forward_return"]))
        out[name] = table.assign(label=label.astype(table["label"].dtype))
    return out, counts


def _labels_ended_at_once(*args: Any) -> Any:
    tables, counts = CLEAN.make_labels(*args)
    return {name: table.assign(horizon_end=table["timestamp"]) for name, table in tables.items()}, counts


def _unpurged(
    rows: pd.DataFrame, folds: pd.DataFrame, parameters: BoostingParameters, settings: RunSettings
) -> pd.DataFrame:
    ended = rows.assign(horizon_end=rows["timestamp"].where(rows["label"].notna()))
    return boosted_forecasts(ended, folds.assign(embargo=pd.Timedelta(0)), parameters, settings)


def _shuffled(
    rows: pd.DataFrame, folds: pd.DataFrame, parameters: BoostingParameters, settings: RunSettings
) -> pd.DataFrame:
    names = feature_names(rows)
    rng = np.random.default_rng(settings.seed)
    half, labelled = rng.random(len(rows)) < 0.5, rows["label"].notna().to_numpy()
    probability = np.empty((len(rows), 3))
    for trained in (half, ~half):
        few = rows[trained & labelled].iloc[::20]
        probability[~trained] = fit_linear(few, names, 0.01).predict(rows[~trained])[PROBABILITIES]
    forecasts = boosted_forecasts(rows, folds, parameters, settings)
    found = pd.DataFrame(probability, columns=list(PROBABILITIES)).assign(
        symbol=rows["symbol"].array, timestamp=rows["timestamp"].array
    )
    merged = forecasts[["symbol", "timestamp"]].merge(found, on=["symbol", "timestamp"], how="left")
    return forecasts.assign(**{name: merged[name].to_numpy() for name in PROBABILITIES})


def _chosen_on_everything(
    rows: pd.DataFrame, folds: pd.DataFrame, parameters: BoostingParameters, settings: RunSettings
) -> pd.DataFrame:
    names = feature_names(rows)
    strength = rows[names].corrwith(rows["label"].astype("float64")).abs().fillna(0.0)
    weak = strength.nsmallest(len(names) // 2).index
    return boosted_forecasts(rows.assign(**dict.fromkeys(weak, 0.0)), folds, parameters, settings)


def _tuned_on_the_test(rows: pd.DataFrame, folds: pd.DataFrame, settings: RunSettings) -> BoostingParameters:
    # Near-equal candidates, as a search ends with: which is best on the test is for the test's noise to say.
    tried = [BoostingParameters(colsample=share, subsample=rows) for share in (0.2, 0.3, 0.5) for rows in (0.5, 0.7)]
    return min(tried, key=lambda one: _loss(boosted_forecasts(rows, folds, one, settings), rows))


def _stopped_by_the_test(
    rows: pd.DataFrame, folds: pd.DataFrame, parameters: BoostingParameters, settings: RunSettings
) -> pd.DataFrame:
    forecasts = boosted_forecasts(rows, folds, parameters, settings)
    parts = []
    for fold in folds.itertuples(index=False):
        test = rows[test_mask(rows, fold)]
        train, _, calibration = split_training(rows[training_mask(rows, fold)], settings.training).samples()
        model = catalogue.row_model(MODEL)(parameters, settings.seed)
        model.fit_samples(train, Sample.from_rows(test[test["label"].notna()]), calibration)
        parts.append(model.predict(test[feature_names(rows)]))
    found = pd.concat(parts, ignore_index=True)
    return forecasts.assign(**{name: found[name].to_numpy() for name in found.columns})


def _loss(forecasts: pd.DataFrame, rows: pd.DataFrame) -> float:
    joined = forecasts.merge(rows[["symbol", "timestamp", "label"]].dropna(), on=["symbol", "timestamp"])
    given = joined[list(PROBABILITIES)].to_numpy()[np.arange(len(joined)), joined["label"].to_numpy() + 1]
    return float(-np.log(np.maximum(given, 1e-6)).mean())


def _calibrated_on_the_test(
    rows: pd.DataFrame, folds: pd.DataFrame, parameters: BoostingParameters, settings: RunSettings
) -> pd.DataFrame:
    forecasts = boosted_forecasts(rows, folds, parameters, settings)
    names = list(PROBABILITIES)
    joined = forecasts.merge(rows[["symbol", "timestamp", "label"]].dropna(), on=["symbol", "timestamp"])
    shares = joined["label"].value_counts(normalize=True).reindex([-1, 0, 1]).to_numpy()
    shifted = forecasts[names].to_numpy() * shares / forecasts[names].to_numpy().mean(axis=0)
    return forecasts.assign(**dict(zip(names, (shifted / shifted.sum(axis=1, keepdims=True)).T, strict=True)))


def _threshold_of_all(*args: Any) -> Tables:
    market, folds, forecasts, *others = args
    first = forecasts[0]
    limit = float((first["p_up"] - first["p_down"]).abs().quantile(0.7))
    signal = market.setup.signal.model_copy(
        update={"entry_threshold": max(limit, 1e-6), "exit_threshold": max(limit, 1e-6) / 3}
    )
    positions: Tables = CLEAN.make_positions(market.with_signal(signal), folds, forecasts, *others)
    return positions


def _sized_by_future(market: TradedMarket, *args: Any) -> Tables:
    positions: dict[str, pd.DataFrame] = CLEAN.make_positions(market, *args)
    ahead = pd.concat(
        table.assign(leak=table["close"].pct_change().abs()[::-1].rolling(24, min_periods=1).mean()[::-1])
        for table, _ in market.histories.values()
    )[["symbol", "timestamp", "leak"]]
    for name, table in positions.items():
        volatility = table.merge(ahead, on=["symbol", "timestamp"], how="left")["leak"].to_numpy()
        positions[name] = table.assign(target=np.clip(table["target"] * 0.005 / volatility, -1, 1))
    return positions


def _a_bar_early(*args: Any) -> Tables:
    positions: dict[str, pd.DataFrame] = CLEAN.make_positions(*args)
    return {
        name: table.assign(target=table.groupby("symbol")["target"].shift(-1).fillna(0.0))
        for name, table in positions.items()
    }


def planted_run(parameters: Mapping[str, Any]) -> tuple[Sources, RunSettings]:
    """A small market with an edge, and settings small and keen enough that every leak can show in seconds."""
    market = simulate_market(SimulationSpec(n_symbols=2, days=360, edge=12, seed=5, outages=4))
    received = {name: _with_repeats(table, number) for number, (name, table) in enumerate(market.bars.items())}
    universe = Universe(
        venue="simulated", symbols=market.spec.symbols, timeframe="1h", side_series=("funding", "sentiment"),
        reference_symbol=market.spec.symbols[0],
    )  # fmt: skip
    settings = RunSettings.from_parameters(parameters)
    chosen = ("log_return_*", "realised_volatility_*", "ema_*", "funding*", "sentiment*", "market_*", "volume_*")
    settings = settings.changed(
        features=settings.features.model_copy(update={"slower_timeframes": (), "include": chosen}),
        folds=settings.folds.model_copy(update={"n_folds": 2}),
        training=settings.training.model_copy(
            update={"max_rounds": 40, "early_stopping_rounds": 20, "row_stride": 1, "fits_side_by_side": 2}
        ),
    )
    return Sources(universe, received, market.side_series, market.oracle), settings


def _with_repeats(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The bars with forty on which nothing was traded: they repeat the close before."""
    rows = np.sort(np.random.default_rng(seed).choice(np.arange(500, len(bars)), 40, replace=False))
    before = bars["close"].to_numpy()[rows - 1]
    out = bars.copy()
    for name in ("open", "high", "low", "close"):
        out.loc[out.index[rows], name] = before
    return out


def check_planted_leaks(parameters: Mapping[str, Any]) -> Iterator[tuple[PlantedLeak | None, Leak | None]]:
    """The clean run first, as None, then every planted leak; each with the first value that moved, or None."""
    sources, settings = planted_run(parameters)
    clean = audit_run(sources, settings)
    yield None, next(iter(clean.leaks), None)
    for planted in planted_leaks():
        found = audit_run(
            sources, settings, planted.steps, stop_at_first=True, n_places=60, acts=planted.kind in ACTING
        )
        yield planted, next(iter(found.leaks), None)
