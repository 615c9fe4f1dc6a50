"""Nodes that draw and write: figures, the report and the page of features."""

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from tradewind.market.universe import Universe
from tradewind.reports import performance
from tradewind.reports.feature_page import FeatureTables, render_feature_page
from tradewind.reports.html import render_html
from tradewind.reports.index_page import render_index
from tradewind.reports.markdown import render_markdown
from tradewind.reports.tables import ReportTables
from tradewind.trading.setup import TradingSetup

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
MODEL_TABLES = ("fold_metrics", "confusion", "reliability", "importance")
NETWORK_TABLES = ("horizon_metrics", "epochs", "health", "attention", "alarms")
AGENT_TABLES = ("behaviour", "responses", "failures", "action_map", "training_log")
LIBRARIES = (
    "tradewind",
    "numpy",
    "pandas",
    "numba",
    "scikit-learn",
    "xgboost-cpu",
    "lightgbm",
    "torch",
    "pytorch-forecasting",
    "stable-baselines3",
    "kedro",
)


def draw_performance(
    portfolio_returns: pd.DataFrame, cost_sensitivity: pd.DataFrame, verdict: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """Figures: equity, drawdown, cost sensitivity."""
    return (
        performance.equity_figure(portfolio_returns, verdict["strategy"]),
        performance.drawdown_figure(portfolio_returns, verdict["strategy"]),
        performance.cost_figure(cost_sensitivity, verdict["strategy"]),
    )


def write_report(
    universe: Universe,
    trading: TradingSetup,
    seed: int,
    verdict: dict[str, Any],
    bars: Partitions,
    run_facts: dict[str, str],
    **tables: Any,
) -> tuple[str, str, str]:
    """The report as a self-contained page and as Markdown, and the page that leads to all others.

    `tables` are the fields of `ReportTables` by name; those of each model, such as `xgboost.importance`, are joined,
    and have no columns in a run without such models.
    """
    by_model = {}
    for kind in (*MODEL_TABLES, *NETWORK_TABLES, *AGENT_TABLES):
        parts = [table for name, table in tables.items() if name.endswith(f".{kind}")]
        by_model[kind] = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    single = {name: table for name, table in tables.items() if "." not in name}
    loaded = {name: {key: load() for key, load in single.pop(name).items()} for name in ("trades", "robustness")}
    settings = {
        "universe": universe.model_dump(mode="json"),
        "costs": trading.costs.model_dump(),
        "execution": trading.execution.model_dump(),
        "seed": seed,
        "data_sha256": {name: _digest(load()) for name, load in sorted(bars.items())},
        "versions": versions(),
    }
    closes = {universe.symbols[at]: bars[name]()[["timestamp", "close"]] for at, name in enumerate(universe.partitions)}
    report = ReportTables(
        verdict=verdict, settings=settings, run=run_facts, closes=closes, **single, **loaded, **by_model
    )
    return render_html(report), render_markdown(report), render_index(report)


def versions() -> dict[str, str]:
    """The versions of the libraries that results depend on, as far as they are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # of an extra that is not installed
            found[name] = "not installed"
    return found


def _digest(bars: pd.DataFrame) -> str:
    """What tells these bars from any others."""
    columns = ["timestamp", "open", "high", "low", "close", "volume", "segment"]
    return hashlib.sha256(pd.util.hash_pandas_object(bars[columns], index=False).to_numpy().tobytes()).hexdigest()


def write_feature_page(
    dictionary: pd.DataFrame,
    distribution: pd.DataFrame,
    coefficients: pd.DataFrame,
    drift: pd.DataFrame,
    histograms: pd.DataFrame,
    *importance: pd.DataFrame,
) -> str:
    """The feature dictionary as a page; `importance` is one table a model."""
    by_model = {str(table["model"].iloc[0]): table for table in importance if len(table)}
    return render_feature_page(FeatureTables(dictionary, distribution, coefficients, drift, histograms, by_model))
