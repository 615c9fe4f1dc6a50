"""A bundle of an agent: its procedure once more on all settled labels, with the evidence of its walk-forward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.adaptive.rl import forecaster_graph
from tradewind.adaptive.rl.deciding import VOLUME_WINDOW
from tradewind.adaptive.rl.forecasts import AgentForecaster
from tradewind.adaptive.rl.market import TradingTerms
from tradewind.adaptive.rl.policies import Policy
from tradewind.adaptive.rl.refitting import refit
from tradewind.adaptive.rl.stored import StoredAgent
from tradewind.adaptive.rl.walk_forward import Plan
from tradewind.errors import BadData, BadModel
from tradewind.learning.features.market_columns import epoch_ms
from tradewind.learning.models.base import ModelStore
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.market.volatility import usual_volume
from tradewind.operations.bundle import agents, contents
from tradewind.operations.bundle.contents import array_file, json_file
from tradewind.operations.bundle.drift import drift_document
from tradewind.operations.bundle.making import DecisionTerms, Findings, ProcedureSummary, settled, spec_of
from tradewind.operations.bundle.measuring import edges_of, latency_baseline, reference_distributions
from tradewind.operations.bundle.sealing import Files
from tradewind.trading.engine.backtest import History

Floats = NDArray[np.float64]
PROBED = 256  # consecutive bars


@dataclass(frozen=True)
class AgentRun:
    """What the agent's training goes on from.

    Attributes:
        plan: agent, environment, reward, training, terms and seed, as in the walk-forward.
        symbols: each symbol's bars and history.
        positions: `schema.Positions` of the walk-forward, the mean of the seeds.
        store: where trainings are kept, so that a killed one goes on.
    """

    plan: Plan
    symbols: Mapping[str, tuple[pd.DataFrame, History]]
    positions: pd.DataFrame
    store: ModelStore


def make_agent_bundle(
    run: AgentRun, rows: pd.DataFrame, terms: DecisionTerms, findings: Findings, created_at: str
) -> Files:
    """The files of a bundle that decides by an agent.

    Args:
        run: how it was trained in its walk-forward, and what it held there.
        rows: model input of all symbols in the order of time; those without a settled label are left out.
        terms: what decides beside the agent.
        findings: of the run; its forecasts are those of the agent's forecaster, out of sample.
        created_at: UTC, ISO 8601.

    Raises:
        BadData: no row has a settled label, or the leaderboard has no such agent.
        BadModel: the graphs do not say what was trained, or decide otherwise bar by bar than at once.
    """
    plan, known = run.plan, settled(rows)
    if known.empty:
        raise BadData("no row of model_input has a settled label: run feature_engineering on more history")
    trained = refit(known, run.symbols, plan, run.store)
    policies, model = list(trained.policies.values()), trained.forecaster
    graph = forecaster_graph.to_onnx(model)
    forecaster = OnnxForecaster.from_bytes(graph, model.features)
    probe, bars, positions = _probe_of(known, run.symbols, (policies, model), plan.trading)
    expected = model.classes.predict(_table(probe, model.features))[contents.FORECASTED].to_numpy(dtype=np.float64)
    files = _policy_files(policies, model) | {
        agents.PROBE_BARS: array_file(bars), agents.PROBE_POSITIONS: array_file(positions),
    }  # fmt: skip
    policy = agents.policy_of(files, forecaster, terms.universe, terms.trading, terms.max_missing_share)
    seen = agents.seen_of(probe, bars, model.features)
    apart = max(
        float(np.abs(forecaster.predict_many(probe) - expected).max()), agents.probe_error(policy, seen, positions)
    )
    if not apart <= contents.PROBE_TOLERANCE:
        raise BadModel(
            f"{plan.name}: what is deployed differs from what was trained by {apart:.1e} on the probe's bars"
        )
    edges = edges_of(run.positions.assign(edge=run.positions["target"]), terms.universe.symbols)
    parameters = {
        name: getattr(plan, name).model_dump(mode="json") for name in ("agent", "environment", "reward")
    }  # fmt: skip
    training = plan.training.model_dump(mode="json")
    summary = ProcedureSummary(plan.name, agents.FAMILY, plan.seed, parameters, training, format=agents.FORMAT)
    decide, one_by_one = agents.one_by_one(policy, seen)
    documents = {
        contents.SPEC: spec_of(summary, model.features, known, terms, findings, created_at).model_dump(mode="json"),
        contents.REFERENCE: reference_distributions(known, model.features, edges["edge"]),
        contents.DRIFT: drift_document(known, findings.forecasts, model.features, terms.universe, plan.seed),
        contents.LATENCY: latency_baseline(decide, one_by_one),
        contents.VERDICT: findings.verdict,
    }
    return {
        **files,
        contents.GRAPH: graph,
        **{name: json_file(document) for name, document in documents.items()},
        contents.PROBE: array_file(probe),
        contents.EXPECTED: array_file(expected),
        contents.WALK_FORWARD: array_file(edges),
    }


def _policy_files(policies: Sequence[Files], forecaster: AgentForecaster) -> Files:
    """The policies of each seed under names of their own, and what the forecaster is beside its graph.

    Weights to learn on from stay in the model store: a bundle decides, and does not learn.
    """
    files = {
        f"seed-{number}-{name}": one[name] for number, one in enumerate(policies) for name in agents.OWN
    }  # fmt: skip
    return files | forecaster.files()


def _probe_of(
    rows: pd.DataFrame, known: Mapping[str, tuple[pd.DataFrame, History]],
    agent: tuple[Sequence[Files], AgentForecaster], trading: TradingTerms,
) -> tuple[NDArray[np.float32], Floats, Floats]:  # fmt: skip
    """Consecutive bars of one symbol, and what the agent held over them by the episodes of its walk-forward.

    Args:
        rows: model-input rows of all symbols.
        known: each symbol's bars and history.
        agent: the files of each seed's policy, and the forecaster.
        trading: the terms of its accounts.

    Returns:
        Features (bars, features), bars (bars, len(agents.BARS)), and the mean position (bars,).
    """
    policies, forecaster = agent
    symbol = str(rows["symbol"].iloc[0])
    own = rows[rows["symbol"] == symbol]
    table, history = known[symbol]
    last = int(np.flatnonzero((table["timestamp"] <= own["timestamp"].max()).to_numpy())[-1]) + 1
    chosen = np.zeros(len(table), dtype=np.bool_)
    chosen[max(last - PROBED, 0) : last] = True
    bars, cut = table[chosen].reset_index(drop=True), history.rows(chosen)
    volume = np.full(len(bars), np.inf) if cut.volume is None else cut.volume
    cut = replace(cut, volume=volume, usual_volume=usual_volume(volume, VOLUME_WINDOW))
    within = own[own["timestamp"].isin(bars["timestamp"])]
    window = bars["timestamp"].iloc[0], bars["timestamp"].iloc[-1] + pd.Timedelta(milliseconds=1)
    held = [
        StoredAgent(Policy.from_files(files), forecaster).positions(within, {symbol: (bars, cut)}, window, trading)
        for files in policies
    ]
    mean = np.clip(np.mean([one["target"].to_numpy() for one in held], axis=0), -1.0, 1.0)
    features = within.set_index("timestamp")[list(forecaster.features)].reindex(bars["timestamp"])
    high, low = cut.range()
    columns = (
        epoch_ms(bars["open_time"]), epoch_ms(bars["timestamp"]), cut.segment, cut.open, high, low, cut.close, volume,
        cut.volatility, cut.funding_rate,
    )  # fmt: skip
    numbers = np.column_stack([np.asarray(one, dtype=np.float64) for one in columns])
    return features.to_numpy(dtype=np.float32), numbers, mean


def _table(values: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(values, columns=list(names))
