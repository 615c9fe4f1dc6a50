"""The leak audit of a whole run: whatever comes after a cut, nothing at or before it may move.

From received rows to accounts, the run is repeated on histories that end at the cut, that are all noise after it, that
go the opposite way, and in which the exchange is down. What the original run knew at or before the cut must be the same
in all, value by value. Beside that bars, features and labels are compared at thousands of places (`places`), futures
are made in which another choice would have been better (`choices`), and what a step reads is watched (`purity`).
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tradewind.compute import executor, track
from tradewind.learning.ensemble import BY_REGIME, ENSEMBLES
from tradewind.learning.models.base import feature_names
from tradewind.trading.execution.orders import OrderRules
from tradewind.validation import choices, places, purity
from tradewind.validation.acting import AGENT, NETWORK, NOT_TRADED, first_fold
from tradewind.validation.comparing import KEYS, Findings, Leak, Row, moved
from tradewind.validation.histories import HISTORIES, MAKERS, History
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
FILLED = ["turnover", "trades"]  # what is known of a bar's orders when it opens


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
    n_places: int = 200,
    acts: bool = True,
) -> Findings:
    """Everything that moved, over `n_cuts` cuts with four histories each, and what was read from outside.

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
        n_places: cuts of bars, features and labels alone, beside those on rare events.
        acts: train a network and an agent as well, and decide as a live run would.
    """
    steps = steps or Steps()
    sources = replace(sources, oracle=sources.oracle.iloc[:0])
    found = Findings()
    found.add(purity.refused(steps, settings, sources.universe))
    if stop_at_first and found.leaks:
        return found
    with purity.watched() as reads:
        before = purity.Memory.of(sources, settings, steps)
        whole = run_research(sources, settings, steps, acts=acts, accounts=True, by_regime=True)
        found.add(before.compare(sources, settings, steps))
    found.add(purity.as_rows(reads, before.cut))
    found.cuts = tuple(choose_cuts(whole, sources, n_cuts))
    if stop_at_first and found.leaks:
        return found
    passes = [(cut, history) for cut in found.cuts for history in HISTORIES]

    def one(at: tuple[pd.Timestamp, History]) -> list[Row]:
        return list(_compare(whole, sources, settings, steps, *at, acts))

    with executor("threads" if workers > 1 and not stop_at_first else "serial", workers) as on:
        first, rest = passes[: len(HISTORIES)], passes[len(HISTORIES) :]
        # What costs little and finds much comes first.
        looks: list[Callable[[], Iterable[Row]]] = [
            lambda: itertools.chain.from_iterable(map(one, first)),
            lambda: choices.favour(whole, sources, settings, steps, found.choices),
            lambda: places.compare(whole, sources, settings, steps, n_places, found.places),
            # An executor's map makes all passes before it gives the first.
            lambda: itertools.chain.from_iterable((map if stop_at_first else on.map)(one, rest)),
        ]
        for look, what in zip(looks, track(["first cut", "choices", "places", "other cuts"], "audit"), strict=True):
            logger.info("audit: %s", what)
            for row in look():
                found.add([row])
                if stop_at_first and row[3] is not None:
                    return found
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


def _compare(
    whole: Products, sources: Sources, settings: RunSettings, steps: Steps, cut: pd.Timestamp, history: History,
    acts: bool,
) -> Iterator[Row]:  # fmt: skip
    """(product, name, values compared, leak or None) for everything that was known at the cut."""
    other = MAKERS[history](sources, cut)
    bar = sources.universe.bar
    # What is tested later than the cut is no part of what was known at it. A test window that has just begun is where a
    # training that was not purged shows; a history that ends there has too few rows of it.
    life = (settings.labels.horizon_bars + 2) * bar if history == "truncated" else pd.Timedelta(0)
    folds = whole.folds[whole.folds["test_start"] <= cut - life].reset_index(drop=True)
    if folds.empty:
        yield from _compare_tables(whole, _features_only(other, settings, steps), cut, history)
        return
    acts = acts and cut <= first_fold(folds)["test_end"].iloc[0]
    found = run_research(other, settings, steps, folds, acts=acts, accounts=True, by_regime=True)
    yield from _compare_tables(whole, (found.bars, found.features, found.labels), cut, history)
    yield from moved("model_input", whole.model_input, found.model_input, cut, cut, history, ended=True)
    # What is forecast must not depend on whether its label will ever be known.
    names = feature_names(next(iter(whole.model_input.values())))
    keyed = [*KEYS["model_input"], *names]
    mine, theirs = (
        {key: table[[name for name in keyed if name in table]] for key, table in one.items()}
        for one in (whole.model_input, found.model_input)
    )
    yield from moved("model_input", mine, theirs, cut, cut, history)
    yield from moved("regimes", whole.regimes, found.regimes, cut, cut, history)
    yield from _compare_trading(whole, found, settings, cut, history, acts)


def _compare_trading(
    whole: Products, found: Products, settings: RunSettings, cut: pd.Timestamp, history: History, acts: bool
) -> Iterator[Row]:
    """Forecasts, positions, decisions and accounts, as far as the repeated run's folds reach."""
    end = found.folds["test_end"].iloc[-1] - pd.Timedelta(1, unit="ms")
    until = min(cut, end)
    # A network that is not trained again is missing in the ensembles of all models, too.
    has_network = NETWORK in set(whole.forecasts["model"])
    slow = () if acts else (NETWORK, AGENT, *((ENSEMBLES - {BY_REGIME}) if has_network else ()))
    forecasts = [one.forecasts[~one.forecasts["model"].isin(slow)] for one in (whole, found)]
    yield from moved("forecasts", {"": forecasts[0]}, {"": forecasts[1]}, cut, until, history)
    traded = [name for name in whole.positions if name not in (*NOT_TRADED, *slow)]
    for strategy in traded:
        pair = [one.positions[strategy][["symbol", "timestamp", "target"]] for one in (whole, found)]
        yield from _named("positions", strategy, pair, cut, until, history)
    if acts:
        yield from moved("decisions", {"": whole.decisions}, {"": found.decisions}, cut, until, history)
    for strategy in traded if len(whole.accounts) else ():
        pair = [one.accounts[one.accounts["strategy"] == strategy].drop(columns=["strategy", "fold", "role"])
                for one in (whole, found)]  # fmt: skip
        yield from _named("accounts", strategy, pair, cut, until, history)
        first = pair[0].loc[pair[0]["timestamp"] > cut, "timestamp"].min()
        # The bar after the cut must be one that the repeated run trades, too.
        if history == "changed" and first <= end and _fills_at_open(settings.trading.execution):
            orders = [one.loc[one["timestamp"] == first, ["timestamp", *FILLED]] for one in pair]
            yield from _named("fills", strategy, orders, cut, first, history)


def _fills_at_open(rules: OrderRules) -> bool:
    """Whether what a bar trades is known at its open: with stops, limits or shares of its volume it is not."""
    given = rules.stop_loss, rules.take_profit, rules.max_participation
    return rules.order == "market" and all(one is None for one in given)


def _named(
    product: str, strategy: str, pair: list[pd.DataFrame], cut: pd.Timestamp, until: pd.Timestamp, history: str
) -> Iterator[Row]:
    """One row for the strategy, whichever column moved first."""
    rows = list(moved(product, {strategy: pair[0]}, {strategy: pair[1]}, cut, until, history))
    leaks = [leak for _, _, _, leak in rows if leak is not None]
    first = replace(leaks[0], name=strategy, detail=f"{leaks[0].name}: {leaks[0].detail}") if leaks else None
    yield product, strategy, sum(compared for _, _, compared, _ in rows), first


def _features_only(sources: Sources, settings: RunSettings, steps: Steps) -> tuple[Tables, Tables, Tables]:
    bars, side_series = make_bars(sources, settings, steps)
    features = make_features(bars, side_series, sources.universe, settings, steps)
    return bars, features, {}


def _compare_tables(
    whole: Products, found: tuple[Tables, Tables, Tables], cut: pd.Timestamp, history: History
) -> Iterator[Row]:
    bars, features, labels = found
    yield from moved("bars", whole.bars, bars, cut, cut, history)
    yield from moved("features", whole.features, features, cut, cut, history)
    if labels:
        yield from moved("labels", whole.labels, labels, cut, cut, history, ended=True)


__all__ = ["Findings", "Leak", "audit_run", "audit_settings", "choose_cuts"]
