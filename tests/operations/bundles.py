"""Small bundles that tests register, move, serve and break."""

import functools
import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from tradewind.learning.ensemble import EQUAL_WEIGHT
from tradewind.learning.ensemble.forecaster import EnsembleForecaster
from tradewind.learning.features.catalogue import FeatureSelection, select
from tradewind.learning.models import catalogue
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.market.universe import Universe
from tradewind.operations.bundle import contents
from tradewind.operations.bundle.contents import LATENCY, SPEC, Bundle
from tradewind.operations.bundle.making import DecisionTerms, EnsembleProcedure, Findings, Procedure, make_bundle
from tradewind.operations.bundle.past import ITSELF, PAST
from tradewind.operations.bundle.regimes import fit_regimes
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.bundle.warming import warm_files
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.setup import TradingSetup
from tradewind.trading.strategy.signals import SignalRules
from tradewind.trading.strategy.sizing import SizingRules

MEMBERS = ("lightgbm", "linear", "lstm")
BESIDE = ("SPEC", "GRAPH", "REFERENCE", "LATENCY", "VERDICT", "DRIFT", "PROBE", "EXPECTED", "WALK_FORWARD")
HOUR = pd.Timedelta(hours=1)
NO_SIDE_SERIES = pd.DataFrame({
    "series": pd.Series(dtype="str"), "symbol": pd.Series(dtype="str"),
    "known_at": pd.Series(dtype="datetime64[ms, UTC]"), "value": pd.Series(dtype="float64"),
})  # fmt: skip
NAMES = ("log_return_1", "rsi_14", "realised_volatility_24")
TERMS = DecisionTerms(
    universe=Universe(venue="simulated", symbols=("SIM1", "SIM2"), timeframe="1h"),
    trading=TradingSetup(
        costs=Costs(), execution=OrderRules(),
        signal=SignalRules(smoothing_bars=4, entry_threshold=0.05, exit_threshold=0.01, cost_multiple=0.0),
        sizing=SizingRules(volatility_window=24),
    ),
    selection=FeatureSelection(include=NAMES, slower_timeframes=()), max_gap_bars=3, max_missing_share=0.4,
    horizon_bars=4,
)  # fmt: skip


def model_rows(seed: int, count: int = 900, edge: float = 1.0) -> pd.DataFrame:
    """Model input of two symbols, whose label follows the first feature `edge` times."""
    rng = np.random.default_rng(seed)
    at = pd.date_range("2023-01-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    parts = []
    for symbol in TERMS.universe.symbols:
        x = rng.standard_normal((count, len(NAMES))).astype(np.float32)
        drift = edge * x[:, 0] + rng.standard_normal(count)
        keys = pd.DataFrame({"symbol": pd.Series(symbol, index=range(count), dtype="str"), "timestamp": at})
        values = pd.concat([keys, pd.DataFrame(x, columns=list(NAMES))], axis=1)
        parts.append(
            values.assign(
                label=np.digitize(drift, [-0.6, 0.6]).astype(np.int8) - np.int8(1),
                forward_return=0.01 * drift,
                exit_time=at + HOUR,
                horizon_end=at + 4 * HOUR,
                weight=1.0,
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    return rows.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def findings(name: str, verdict: str, rows: pd.DataFrame, edge: float = 1.0) -> Findings:
    """Of a run whose folds knew what `model_rows` is made of, but for a little noise."""
    board = pd.DataFrame({"strategy": [name], "family": "model", "sharpe": 1.5, "sharpe_low": 0.2, "sharpe_high": 2.8})
    rng = np.random.default_rng(5)
    drift = edge * rows[NAMES[0]].to_numpy(np.float64) + 0.1 * rng.standard_normal(len(rows))
    up, down = norm.sf(0.6 - drift), norm.cdf(-0.6 - drift)
    forecasts = rows[["symbol", "timestamp"]].assign(p_up=up, p_flat=1.0 - up - down, p_down=down)
    return Findings({"verdict": verdict, "strategy": name}, board, forecasts, {"seed": 7})


@functools.cache
def bundle_files(
    name: str = "linear", seed: int = 1, verdict: str = "go", edge: float = 1.0, count: int = 900
) -> Files:
    """The files of a bundle; other seeds give other bundles."""
    assert tuple(one.name for one in select(TERMS.selection, "1h", ())) == NAMES
    rows = model_rows(seed, count, edge)
    told = findings(name, verdict, rows, edge)
    return make_bundle(procedure_of(name), rows, TERMS, told, "2026-01-01T00:00:00+00:00")


def procedure_of(name: str) -> Procedure | EnsembleProcedure:
    """How a small model of that name is trained; `equal_weight` has a member of each kind."""
    if name == EQUAL_WEIGHT:
        return EnsembleProcedure(tuple(_of_one(one) for one in MEMBERS), 7)
    return _of_one(name)


def _of_one(name: str) -> Procedure:
    small = {"window_bars": 3, "hidden": 8} if catalogue.stage_of(name) == "deep_learning" else {}
    return Procedure(name, catalogue.model(name).parameters_class(**small), TrainingRules(max_rounds=10), 7)


@functools.cache
def with_regimes(seed: int = 1, count: int = 1100) -> Files:
    """The files of a bundle that has models of regimes, fitted on bars of a random walk."""
    files = bundle_files(seed=seed)
    plan = RegimePlan(rules={"least_bars": 1000})
    walks = {symbol: walk_bars(symbol, count, number) for number, symbol in enumerate(TERMS.universe.symbols)}
    files = files | fit_regimes(walks, plan, 7).files()
    return files | warm_files(Bundle.from_files(files, ""), walks, NO_SIDE_SERIES)


def walk_bars(symbol: str, count: int, seed: int) -> pd.DataFrame:
    """Checked hourly bars of a random walk whose volatility changes every ten days."""
    rng = np.random.default_rng(seed)
    calm = (np.arange(count) // 240) % 2 == 0
    close = 100 * np.exp(np.cumsum(np.where(calm, 0.002, 0.01) * rng.standard_normal(count)))
    opened = pd.date_range("2023-03-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    return pd.DataFrame({
        "symbol": symbol, "open_time": opened, "timestamp": opened + HOUR, "open": close, "high": close * 1.001,
        "low": close * 0.999, "close": close, "volume": 5.0, "segment": np.int32(0),
    })  # fmt: skip


def stored_model(files: Files, name: str) -> Any:
    """The model that the bundle stores beside its graph."""
    kind: Any = EnsembleForecaster if name == EQUAL_WEIGHT else catalogue.model(name)
    beside = {ITSELF, PAST} | {getattr(contents, one) for one in BESIDE}
    return kind.from_files({key: content for key, content in files.items() if key not in beside})


def inputs(name: str, count: int) -> NDArray[np.float32]:
    """Rows of features with missing values, or windows of them for a model over windows."""
    rows = model_rows(11, count // 2 + 2)[list(NAMES)].to_numpy(dtype=np.float32)[: count + 2].copy()
    rows[::7, 1] = np.nan
    if name in catalogue.rows_of(tuple(catalogue.MODELS)):
        return rows[:count]
    return np.stack([rows[at : at + 3] for at in range(count)])


def made_later(files: Files, count: int) -> Files:
    """The same bundle, made at another time on a busier machine."""
    spec, latency = json.loads(files[SPEC]), json.loads(files[LATENCY])
    spec["created_at"] = f"2026-02-{count:02d}T00:00:00+00:00"
    latency["wall_ms"]["p50"] *= 1 + count
    return files | {SPEC: json.dumps(spec).encode(), LATENCY: json.dumps(latency).encode()}
