"""Small bundles of agents over a market that trends, whose features come from the catalogue."""

import functools
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tests.operations.bundles import HOUR, NAMES, TERMS
from tradewind.adaptive.rl.parameters import AgentParameters
from tradewind.adaptive.rl.policies import ABOUT
from tradewind.adaptive.rl.rules import EnvironmentRules
from tradewind.adaptive.rl.walk_forward import AgentRules, AgentTraining, Plan
from tradewind.learning.features.catalogue import select
from tradewind.learning.features.matrix import build_chunk, feature_table, market_table
from tradewind.operations.bundle.contents import SPEC, Bundle
from tradewind.operations.bundle.making import Findings
from tradewind.operations.bundle.making_agents import AgentRun, make_agent_bundle
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.bundle.warming import warm_files
from tradewind.trading.engine.histories import histories_of
from tradewind.trading.execution.costs import Costs
from tradewind.validation.acting import NullModelStore

COUNT = 700
CHEAP = TERMS.trading.model_copy(update={"costs": Costs(taker_fee_bps=1.0, half_spread_bps=0.2)})
AGENT_TERMS = replace(TERMS, trading=CHEAP)
QUICK: dict[str, Any] = {
    "total_timesteps": 1024, "parts": 1, "n_envs": 16, "n_steps": 16, "batch_size": 64, "n_epochs": 2, "hidden": 8,
    "clone_epochs": 4, "clone_bars": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Market:
    """Checked bars by symbol with a gap, funding, and the model input of both symbols."""

    bars: dict[str, pd.DataFrame]
    side: pd.DataFrame
    rows: pd.DataFrame


@functools.cache
def market(seed: int = 3, count: int = COUNT) -> Market:
    rng = np.random.default_rng(seed)
    opened = pd.Series(pd.date_range("2023-03-01", periods=count, freq="h", tz="UTC")).dt.as_unit("ms")
    gap = (np.arange(count) >= 400) & (np.arange(count) < 410)
    bars, paid = {}, []
    for symbol in TERMS.universe.symbols:
        moves = np.zeros(count)
        for at in range(1, count):
            moves[at] = 0.8 * moves[at - 1] + 0.004 * rng.standard_normal()
        close = 100 * np.exp(np.cumsum(moves))
        before = np.r_[close[0], close[:-1]]
        table = pd.DataFrame({
            "symbol": pd.Series(symbol, index=range(count), dtype="str"), "open_time": opened,
            "timestamp": opened + HOUR, "open": before, "high": np.maximum(close, before) * 1.001,
            "low": np.minimum(close, before) * 0.999, "close": close, "volume": 50.0 + rng.random(count),
            "segment": (np.arange(count) >= 410).astype(np.int32),
        })  # fmt: skip
        bars[symbol] = table[~gap].reset_index(drop=True)
        known = table["timestamp"][::8]
        paid.append(pd.DataFrame({"known_at": known, "value": 2e-4}).assign(series="funding", symbol=symbol))
    return Market(bars, pd.concat(paid, ignore_index=True), _rows(bars))


def _rows(bars: dict[str, pd.DataFrame]) -> pd.DataFrame:
    chosen, cross, tables = select(TERMS.selection, "1h", ()), market_table(bars), []
    for symbol, own in bars.items():
        table = feature_table(symbol, build_chunk(own, bars["SIM1"], cross, {}), chosen, 1)
        ahead = np.r_[np.log(own["close"].to_numpy()[4:] / own["close"].to_numpy()[:-4]), np.full(4, np.nan)]
        known = table[list(NAMES)].notna().any(axis=1).to_numpy() & np.isfinite(ahead)
        labelled = table.assign(
            label=np.digitize(ahead, [-0.004, 0.004]).astype(np.int8) - np.int8(1), forward_return=ahead,
            exit_time=own["timestamp"] + 4 * HOUR, horizon_end=own["timestamp"] + 4 * HOUR, weight=1.0,
        )  # fmt: skip
        tables.append(labelled[known])
    rows = pd.concat(tables, ignore_index=True)
    return rows.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def rules_of(algorithm: str) -> AgentRules:
    shape: dict[str, Any] = {} if algorithm.endswith("ppo") else {"actions": "continuous", "dead_band": 0.1}
    return AgentRules(
        agent=AgentParameters.model_validate(QUICK | {"algorithm": algorithm}),
        environment=EnvironmentRules(episode_bars=48, features=2, **shape),
        training=AgentTraining(seeds=2, executor="serial"),
    )


def agent_findings(name: str, rows: pd.DataFrame) -> tuple[Findings, pd.DataFrame]:
    board = pd.DataFrame({"strategy": [name], "family": "agent", "sharpe": 1.5, "sharpe_low": 0.2, "sharpe_high": 2.8})
    rng = np.random.default_rng(5)
    up = np.clip(0.4 + 0.1 * rng.standard_normal(len(rows)), 0, 0.7)
    said = rows[["symbol", "timestamp"]].assign(p_up=up, p_flat=0.2, p_down=0.8 - up, expected_return=0.0)
    held = rows[["symbol", "timestamp"]].assign(target=np.sign(0.4 - up), strategy=name)
    return Findings({"verdict": "go", "strategy": name}, board, said, {"seed": 7}), held


@functools.cache
def agent_files(algorithm: str = "ppo") -> Files:
    """The files of a bundle that holds an agent of two seeds, with the state after the market's last bar."""
    here = market()
    loaders: Any = {TERMS.universe.partition(name): (lambda one=one: one) for name, one in here.bars.items()}
    known = histories_of(loaders, here.side, TERMS.universe, TERMS.trading.sizing.volatility_window)
    told, held = agent_findings(algorithm, here.rows)
    plan = Plan.of(algorithm, rules_of(algorithm), TERMS.universe.bars_per_year, CHEAP, 7)
    run = AgentRun(plan, known, held, NullModelStore())
    files = make_agent_bundle(run, here.rows, AGENT_TERMS, told, "2026-01-01T00:00:00+00:00")
    abstaining = [name for name in files if name.endswith(ABOUT) and json.loads(files[name])["abstains"]]
    assert not abstaining, "an agent that stays flat shows nothing"
    return files | warm_files(Bundle.from_files(files, ""), here.bars, here.side)


def one_seed_files(algorithm: str = "ppo") -> Files:
    """The same bundle whose second seed is the first once more: it holds something else."""
    files = agent_files(algorithm)
    copied = {name.replace("seed-0", "seed-1"): files[name] for name in files if name.startswith("seed-0")}
    return files | copied


def told_otherwise(files: Files, **evidence: Any) -> Files:
    """The same bundle with other evidence, which is another version."""
    spec = json.loads(files[SPEC])
    spec["evidence"] |= evidence
    return files | {SPEC: json.dumps(spec).encode()}


def agent_bundle(algorithm: str = "ppo") -> Bundle:
    return Bundle.from_files(agent_files(algorithm), "a" * 64)
