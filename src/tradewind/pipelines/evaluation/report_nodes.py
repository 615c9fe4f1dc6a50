"""Nodes that draw and write: figures, the report and the page of features."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, metadata, version
from typing import Any

import pandas as pd
from packaging.requirements import Requirement

from tradewind.evaluation.gathering import tables_of
from tradewind.market.universe import Universe
from tradewind.reports import performance
from tradewind.reports.feature_page import FeatureTables, render_feature_page
from tradewind.reports.html import render_html
from tradewind.reports.index_page import render_index
from tradewind.reports.markdown import render_markdown
from tradewind.reports.tables import BY_MODEL, ReportTables, joined
from tradewind.trading.setup import TradingSetup

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
FOR_DEVELOPMENT = frozenset({"test", "bench", "notebook", "airflow"})  # extras that no result depends on
FIELDS = frozenset(field.name for field in fields(ReportTables))


def draw_performance(
    portfolio_returns: pd.DataFrame, cost_sensitivity: pd.DataFrame, verdict: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """Figures: equity, drawdown, cost sensitivity.

    Args:
        portfolio_returns: one row a strategy and bar.
        cost_sensitivity: one row a strategy and multiple.
        verdict: gives the strategy that is set out.

    Returns:
        Three figures of Plotly.
    """
    return (
        performance.equity_figure(portfolio_returns, verdict["strategy"]),
        performance.drawdown_figure(portfolio_returns, verdict["strategy"]),
        performance.cost_figure(cost_sensitivity, verdict["strategy"]),
    )


def describe_run(universe: Universe, trading: TradingSetup, seed: int, bars: Partitions) -> dict[str, Any]:
    """What it takes to repeat the run: settings, the data's digests, and the versions of what the project requires.

    Args:
        universe: symbols, venue, timeframe and side series.
        trading: costs, execution, signal and sizing.
        seed: of the run.
        bars: by partition a function that loads checked bars.

    Returns:
        A document.
    """
    return {
        "universe": universe.model_dump(mode="json"),
        "costs": trading.costs.model_dump(),
        "execution": trading.execution.model_dump(),
        "seed": seed,
        "data_sha256": {name: _digest(load()) for name, load in sorted(bars.items())},
        "versions": installed_versions(),
    }


def collect_accounts(**tables: Any) -> dict[str, Any]:
    """What the strategies earned."""
    return tables


def collect_judgement(**tables: Any) -> dict[str, Any]:
    """What may be said of it."""
    return tables


def collect_variations(**tables: Any) -> dict[str, Any]:
    """What it comes to under other assumptions."""
    return tables


def write_report(
    settings: dict[str, Any],
    folds: pd.DataFrame,
    gaps_figure: Any,
    data: Partitions,
    features: Partitions,
    models: Partitions,
    accounts: dict[str, Any],
    judgement: dict[str, Any],
    variations: dict[str, Any],
    run_facts: dict[str, str],
    bars: Partitions,
) -> tuple[str, str, str]:
    """The report as a self-contained page and as Markdown, and the page that leads to all others.

    Args:
        settings: of `describe_run`.
        folds: the fold table.
        gaps_figure: where bars are missing.
        data: the tables of data_engineering by name.
        features: the tables of feature_engineering by name.
        models: the tables of models and agents, as `STAGE.MODEL/TABLE`.
        accounts: what the strategies earned.
        judgement: what may be said of it.
        variations: what it comes to under other assumptions.
        run_facts: who is running.
        bars: by partition the bars, of which the closes are shown.

    Returns:
        HTML, Markdown and the index.
    """
    ours = dict(accounts) | dict(judgement) | dict(variations)
    partitioned = {name: {key: load() for key, load in ours.pop(name).items()} for name in ("trades", "robustness")}
    of_stages = {name: load() for name, load in {**data, **features}.items() if name in FIELDS}
    of_models = {kind: joined(tables_of(models, kind), kind) for kind in BY_MODEL}
    universe = Universe.model_validate(settings["universe"])
    closes = {
        symbol: bars[partition]()[["timestamp", "close"]]
        for symbol, partition in zip(universe.symbols, universe.partitions, strict=True)
    }
    report = ReportTables(
        settings=settings, folds=folds, gaps_figure=gaps_figure, run=run_facts, closes=closes, **ours, **partitioned,
        **of_stages, **of_models,
    )  # fmt: skip
    return render_html(report), render_markdown(report), render_index(report)


def installed_versions() -> dict[str, str]:
    """The versions of the project and of what it requires, extras included that are installed."""
    about = metadata("tradewind")
    extras = {"", *(about.get_all("Provides-Extra") or ())} - FOR_DEVELOPMENT
    versions = {"tradewind": version("tradewind")}
    for line in about.get_all("Requires-Dist") or ():
        required = Requirement(line)
        if required.marker is not None and not any(required.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        try:
            versions[required.name] = version(required.name)
        except PackageNotFoundError:
            continue  # of an extra that is not installed
    return versions


def _digest(bars: pd.DataFrame) -> str:
    """What tells these bars from any others."""
    columns = ["timestamp", "open", "high", "low", "close", "volume", "segment"]
    return hashlib.sha256(pd.util.hash_pandas_object(bars[columns], index=False).to_numpy().tobytes()).hexdigest()


def write_feature_page(features: Partitions, models: Partitions) -> str:
    """The feature dictionary as a page.

    Args:
        features: the tables of feature_engineering by name.
        models: the tables of models and agents, of which importance is shown.

    Returns:
        HTML.
    """
    by_model = {str(table["model"].iloc[0]): table for table in tables_of(models, "importance") if len(table)}
    names = ("dictionary", "distribution", "coefficients", "drift", "histograms")
    return render_feature_page(
        FeatureTables(importance=by_model, **{name: features[f"feature_{name}"]() for name in names})
    )
