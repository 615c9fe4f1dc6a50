"""The regimes stage gives contract tables, models that can be read again and a page; its columns join the features."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.datasets import contracts
from tradewind.errors import BadData
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.models.base import feature_names
from tradewind.learning.regimes.markov import MarkovModel
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.market.universe import Universe
from tradewind.metrics.ranking import breakdown
from tradewind.pipelines.feature_engineering.label_nodes import ModelInputRules, assemble_model_input
from tradewind.pipelines.regimes.nodes import draw_regimes, find_regimes
from tradewind.reports.palette import SHOWN_SYMBOLS
from tradewind.reports.regimes import render_regimes_page

UNIVERSE = Universe(venue="simulated", symbols=("SIM1", "SIM2"), timeframe="1h")
PLAN = RegimePlan(
    first_fit_bars=2000, refit_bars=2000, rules={"em": {"first_rounds": 2, "rounds": 3}, "evidence": -10.0}
)
METHOD = LabelRules.model_validate({"method": "triple_barrier", "horizon_bars": 12, "volatility_window": 24})
Bars = dict[str, Callable[[], pd.DataFrame]]


def lazily(tables: dict[str, pd.DataFrame]) -> Bars:
    return {name: lambda table=table: table for name, table in tables.items()}


@pytest.fixture(scope="module")
def bars(market_bars: dict[str, pd.DataFrame]) -> Bars:
    return lazily({UNIVERSE.partition(symbol): market_bars[symbol] for symbol in UNIVERSE.symbols})


@pytest.fixture(scope="module")
def found(bars: Bars) -> tuple[dict[str, pd.DataFrame], dict[str, Any], pd.DataFrame]:
    return find_regimes(bars, UNIVERSE, PLAN, 7)


def test_tables_models_summary_and_page(bars: Bars, found: Any) -> None:
    tables, models, summary = found
    contracts.regimes(tables)
    assert set(tables) == set(models) == {"simulated/SIM1/1h", "simulated/SIM2/1h"}
    again = MarkovModel.from_files({"regimes.json": json.loads(json.dumps(models))["simulated/SIM1/1h"][0].encode()})
    assert again.rules.em.rounds == 3
    assert set(summary["symbol"]) == {"SIM1", "SIM2"}
    page = draw_regimes(bars, lazily(tables), summary)
    assert page.count("<h2>") == 2 and "p_leave" not in page
    assert 'src="http' not in page
    assert len(page) < 3_000_000
    assert "symbols are drawn" not in page


def test_of_many_symbols_the_first_are_drawn(bars: Bars, found: Any) -> None:
    table, _, summary = found[0]["simulated/SIM1/1h"], *found[1:]
    history = bars["simulated/SIM1/1h"]()
    names = [f"S{number:02}" for number in range(SHOWN_SYMBOLS + 1)]
    page = render_regimes_page(
        {f"v/{name}/1h": (history, table) for name in names},
        pd.concat([summary[summary["symbol"] == "SIM1"].assign(symbol=name) for name in names]),
    )
    assert page.count("<h2>") == SHOWN_SYMBOLS and "The first 20 of 21 symbols are drawn." in page


def test_a_symbol_without_bars_is_named(bars: Bars) -> None:
    with pytest.raises(BadData, match="has SIM2, but there are no bars"):
        find_regimes({"simulated/SIM1/1h": bars["simulated/SIM1/1h"]}, UNIVERSE, PLAN, 7)


def test_a_table_that_breaks_the_contract_is_refused(found: Any) -> None:
    table = found[0]["simulated/SIM1/1h"]
    for fault in ({"p_trending": 0.9, "p_ranging": 0.9}, {"regime": "calm"}, {"run_length": 0}):
        with pytest.raises(BadData, match="breaks the contract Regimes"):
            contracts.regimes({"one": table.assign(**fault)})


def test_regimes_join_the_features_where_the_parameter_asks(bars: Bars, found: Any) -> None:
    tables, _, _ = found
    features, labels = {}, {}
    for name, load in bars.items():
        keys = load()[["symbol", "timestamp"]]
        features[name] = keys.assign(one=np.float32(1.0))
        labels[name] = keys.assign(
            label=np.int8(0), forward_return=0.0, exit_time=keys["timestamp"], horizon_end=keys["timestamp"], weight=1.0
        )
    counts = pd.DataFrame({"symbol": list(UNIVERSE.symbols)})
    inputs = (lazily(features), lazily(labels), counts, UNIVERSE)
    without, _ = assemble_model_input(*inputs, ModelInputRules(), METHOD, lazily(tables))
    with_them, _ = assemble_model_input(*inputs, ModelInputRules(regimes=True), METHOD, lazily(tables))
    name = "simulated/SIM1/1h"
    assert feature_names(without[name]) == ["one"]
    assert "regime_p_trending" in feature_names(with_them[name])
    assert len(with_them[name]) == len(without[name])
    np.testing.assert_allclose(with_them[name]["regime_p_leave"], tables[name]["p_leave"], rtol=1e-6)
    with pytest.raises(BadData, match="run the regimes stage"):
        assemble_model_input(*inputs, ModelInputRules(regimes=True), METHOD, {})


def test_the_breakdown_goes_by_the_regime_known_before_the_bar() -> None:
    at = pd.date_range("2024-01-01", periods=96, freq="h", tz="UTC").as_unit("ms")
    net = np.where(np.arange(96) % 48 < 24, 0.01, -0.02)
    account = pd.DataFrame({"symbol": "A", "timestamp": at, "net": net, "role": "walk_forward"})
    returns = account.assign(strategy="s", fold=0)
    regime = np.where(net > 0, "trending", "ranging")
    known = pd.DataFrame({"symbol": "A", "timestamp": at - pd.Timedelta(hours=1), "regime": regime})
    table = breakdown(returns, {"s": account}, known)
    rows = table[table["by"] == "regime"].set_index("group")
    # Of the last bar the table does not say what was known before it.
    assert rows["bars"].to_dict() == {"ranging": 47, "trending": 48, "unknown": 1}
    assert rows.loc["trending", "total_return"] == pytest.approx(1.01**48 - 1)
    assert rows.loc["ranging", "total_return"] == pytest.approx(0.98**47 - 1)
    assert "regime" not in set(breakdown(returns, {"s": account})["by"])
