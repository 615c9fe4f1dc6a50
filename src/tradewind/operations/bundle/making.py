"""A bundle from a finished run: the procedure refitted on all settled labels, with its evidence."""

import functools
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.learning.ensemble import EQUAL_WEIGHT, STANDING
from tradewind.learning.ensemble.forecaster import EnsembleForecaster
from tradewind.learning.ensemble.onnx_graph import shape_of, to_onnx
from tradewind.learning.features.catalogue import FeatureSelection, select
from tradewind.learning.features.stream import Plan
from tradewind.learning.labels.settling import is_settled
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import Forecaster
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.learning.models.walk_forward import TrainingRules, fingerprint, split_training
from tradewind.market.universe import Universe
from tradewind.metrics.verdict import best_first
from tradewind.operations.bundle import contents
from tradewind.operations.bundle.contents import BundleSpec, Evidence, array_file, json_file
from tradewind.operations.bundle.drift import drift_document
from tradewind.operations.bundle.measuring import edges_of, latency_baseline, reference_distributions
from tradewind.operations.bundle.past import ITSELF, PAST, about_itself, past_inputs
from tradewind.operations.bundle.sealing import Files
from tradewind.trading.setup import TradingSetup

PROBE_ROWS = 64
logger = logging.getLogger(__name__)
JUDGED, BEST = "judged", "best"


@dataclass(frozen=True)
class Procedure:
    """How a model was trained in its walk-forward: all that refitting needs.

    Attributes:
        name: of the catalogue.
        parameters: of the model's own class, validated.
        training: the rules.
        seed: of the walk-forward.
    """

    name: str
    parameters: Any
    training: TrainingRules
    seed: int


@dataclass(frozen=True)
class EnsembleProcedure:
    """How an ensemble of a run came about: each member was trained alone.

    Attributes:
        members: how each was.
        seed: of the walk-forward.
        name: of the ensemble.
        weights: of the members, not negative and with sum 1; empty: all count alike.
    """

    members: tuple[Procedure, ...]
    seed: int
    name: str = EQUAL_WEIGHT
    weights: tuple[float, ...] = ()

    @property
    def weight_of(self) -> dict[str, float]:
        """Each member's weight by its name."""
        count = len(self.members)
        given = self.weights or (1.0 / count,) * count
        return {member.name: weight for member, weight in zip(self.members, given, strict=True)}


@dataclass(frozen=True)
class DecisionTerms:
    """What decides beside the model: universe, trading, features and how bars are put together."""

    universe: Universe
    trading: TradingSetup
    selection: FeatureSelection
    max_gap_bars: int
    max_missing_share: float
    horizon_bars: int


@dataclass(frozen=True)
class Findings:
    """What the run found out: verdict, leaderboard of the walk-forward, the model's own forecasts, all parameters."""

    verdict: dict[str, Any]
    leaderboard: pd.DataFrame
    forecasts: pd.DataFrame
    parameters: dict[str, Any]


def choose(
    wanted: str, leaderboard: pd.DataFrame, trained: tuple[str, ...], judged: str = ""
) -> str:  # fmt: skip
    """What to deploy: the judged strategy, since the verdict is about no other; the best model; or one by its name.

    A judged strategy that is no model and no agent cannot be deployed (a rule, or an ensemble whose weights move with
    every bar): the best model is, and the log says so.

    Args:
        wanted: "judged", "best" (of the models that can be deployed, on the walk-forward folds), or a name.
        leaderboard: over the walk-forward folds.
        trained: names of the models and agents that this run trained.
        judged: the strategy that the verdict is about.

    Returns:
        The name.

    Raises:
        BadParameters: it was not trained in this run, or knows no direction.
    """
    possible, agents = members_of(trained), agents_of(trained)
    if possible:  # of one model, too: its ensembles say the same, and one of them may be what was judged
        possible += [name for name in STANDING if name in set(leaderboard["strategy"])]
    if wanted == JUDGED and judged in (*possible, *agents):
        return judged
    if wanted in (JUDGED, BEST):
        board = leaderboard[leaderboard["strategy"].isin(possible)]
        if board.empty:
            raise BadParameters(f"deployment.model is {wanted}, and the leaderboard has no model that can be deployed")
        best = str(best_first(board)["strategy"].iloc[0])
        if wanted == JUDGED:
            logger.warning("%s was judged and cannot be deployed: %s is, without a verdict of its own", judged, best)
        return best
    if wanted not in (*possible, *agents):
        raise BadParameters(
            f"deployment.model must be {JUDGED}, {BEST} or one of {[*possible, *agents]}, found {wanted!r}"
        )
    return wanted


def members_of(trained: Sequence[str]) -> list[str]:
    """The models of a run that can be deployed: those of the catalogue that know a direction, no agents."""
    return [name for name in trained if name in catalogue.MODELS and catalogue.has_direction(name)]


def agents_of(trained: Sequence[str]) -> list[str]:
    """The agents of a run."""
    return [name for name in trained if name in AGENTS]


def settled(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows whose label is known by the last row's timestamp: nothing that looks beyond it trains."""
    return rows[is_settled(rows, rows["timestamp"].max())].reset_index(drop=True)


def newest(rows: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """The rows that the walk-forward would train on now: with rolling folds as much time as each of them had, else all.

    Args:
        rows: model input of all symbols, in the order of time.
        folds: the folds table.
    """
    if folds["train_start"].nunique() == 1:
        return rows
    last = folds.sort_values("fold").iloc[-1]
    since = rows["timestamp"].max() - (last["train_end"] - last["train_start"])
    return rows[rows["timestamp"] > since].reset_index(drop=True)


def refit(procedure: Procedure | EnsembleProcedure, rows: pd.DataFrame) -> Forecaster:
    """The procedure on all settled rows: the same parameters, rules and seed as in the walk-forward.

    Args:
        procedure: how the model was trained.
        rows: model input of all symbols, in the order of time.
    """
    from threadpoolctl import threadpool_limits

    if isinstance(procedure, EnsembleProcedure):
        members = [refit(member, rows) for member in procedure.members]
        return EnsembleForecaster.of(members, list(procedure.weight_of.values()), procedure.seed)
    rules = procedure.training
    parameters = procedure.parameters.within(rules.max_rounds, rules.early_stopping_rounds)
    fitted: Forecaster
    with threadpool_limits(limits=1):
        fitted = catalogue.model(procedure.name)(parameters, procedure.seed).fit(split_training(rows, rules))
    return fitted


def make_bundle(
    procedure: Procedure | EnsembleProcedure, rows: pd.DataFrame, terms: DecisionTerms, findings: Findings,
    created_at: str,
) -> Files:  # fmt: skip
    """The files of a bundle.

    Args:
        procedure: how the model was trained in its walk-forward.
        rows: model input of all symbols in the order of time; those without a settled label are left out.
        terms: what decides beside the model.
        findings: of the run.
        created_at: UTC, ISO 8601.

    Raises:
        BadData: no row has a settled label, or the leaderboard has no such model or no figures of it.
        BadModel: the ONNX graph does not say what the model says.
    """
    known = settled(rows)
    if known.empty:
        raise BadData("no row of model_input has a settled label: run feature_engineering on more history")
    model = refit(procedure, known)
    graph = to_onnx(model)
    forecaster = OnnxForecaster.from_bytes(graph, model.features)
    probe = probe_rows(known, model)
    expected = np.stack([model.predict_row(row) for row in probe])
    apart = float(np.abs(forecaster.predict_many(probe) - expected).max())
    if not apart <= contents.PROBE_TOLERANCE:
        raise BadModel(f"{procedure.name}: the ONNX graph differs from the model by {apart:.1e} on the probe rows")
    past = findings.forecasts
    edges = edges_of(past.assign(edge=past["p_up"] - past["p_down"]), terms.universe.symbols)
    weights = procedure.weight_of if isinstance(procedure, EnsembleProcedure) else None
    summary = ProcedureSummary(procedure.name, type(model).family, procedure.seed, *_settings_of(procedure), weights)
    documents = {
        contents.SPEC: spec_of(summary, model.features, known, terms, findings, created_at).model_dump(mode="json"),
        contents.REFERENCE: reference_distributions(known, model.features, edges["edge"]),
        contents.DRIFT: drift_document(known, findings.forecasts, model.features, terms.universe, procedure.seed),
        contents.LATENCY: latency_baseline(forecaster.predict_row, probe),
        contents.VERDICT: findings.verdict,
        ITSELF: about_itself(model, known, calibration_share(procedure), edges, terms.universe.symbols),
    }
    return {
        **model.files(),
        contents.GRAPH: graph,
        **{name: json_file(document) for name, document in documents.items()},
        contents.PROBE: array_file(probe),
        contents.EXPECTED: array_file(expected),
        contents.WALK_FORWARD: array_file(edges),
        PAST: array_file(past_inputs(known, model, forecaster.reads_windows)),
    }


def calibration_share(procedure: Procedure | EnsembleProcedure) -> float:
    """Of the time of its training rows, at their end; of an ensemble that of its first member."""
    rules = procedure.members[0] if isinstance(procedure, EnsembleProcedure) else procedure
    return rules.training.calibration_share


def probe_rows(rows: pd.DataFrame, model: Forecaster) -> NDArray[np.float32]:
    """Inputs of the model, evenly over the rows of one symbol: (PROBE_ROWS, features), or windows of them."""
    own = rows[rows["symbol"] == rows["symbol"].iloc[0]]
    values = own[list(model.features)].to_numpy(dtype=np.float32)
    bars = model.window_bars
    ends = np.linspace(bars, len(values), PROBE_ROWS).astype(np.int64)
    if len(shape_of(model)) == 1:
        return np.ascontiguousarray(values[ends - 1])
    return np.stack([values[end - bars : end] for end in ends])


@dataclass(frozen=True)
class ProcedureSummary:
    """Name, seed, settings and weights of a procedure, as a bundle records them."""

    name: str
    family: str
    seed: int
    parameters: dict[str, Any]
    training: dict[str, Any]
    weights: dict[str, float] | None = None
    format: int = contents.FORMAT


def spec_of(
    summary: ProcedureSummary,
    reads: tuple[str, ...],
    rows: pd.DataFrame,
    terms: DecisionTerms,
    findings: Findings,
    created_at: str,
) -> BundleSpec:
    """What the bundle is.

    Args:
        summary: of the procedure.
        reads: the features that are read, in their order.
        rows: the settled rows that it was fitted on.
        terms: what decides beside the model.
        findings: of the run.
        created_at: UTC, ISO 8601.

    Raises:
        BadData: the leaderboard has no such strategy, or no figures of it.
    """
    features = select(terms.selection, terms.universe.timeframe, terms.universe.side_series)
    return BundleSpec(
        format=summary.format, name=summary.name, family=summary.family, seed=summary.seed,
        parameters=summary.parameters, training=summary.training, weights=summary.weights, created_at=created_at,
        universe=terms.universe, trading=terms.trading, selection=terms.selection, features=reads,
        plan_fingerprint=Plan(features).fingerprint(), max_gap_bars=terms.max_gap_bars,
        max_missing_share=terms.max_missing_share, horizon_bars=terms.horizon_bars,
        trained_from=rows["timestamp"].min().isoformat(), trained_to=rows["timestamp"].max().isoformat(),
        trained_rows=len(rows), evidence=_evidence(summary.name, rows, findings),
    )  # fmt: skip


def _settings_of(procedure: Procedure | EnsembleProcedure) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and training rules as JSON; of an ensemble by member."""
    if isinstance(procedure, EnsembleProcedure):
        parts = {member.name: _settings_of(member) for member in procedure.members}
        return {name: one for name, (one, _) in parts.items()}, {name: one for name, (_, one) in parts.items()}
    return procedure.parameters.model_dump(mode="json"), procedure.training.model_dump(mode="json")


def _evidence(name: str, rows: pd.DataFrame, findings: Findings) -> Evidence:
    board = findings.leaderboard.set_index("strategy")
    if name not in board.index:
        raise BadData(f"{name} is not on the leaderboard: run evaluation before deployment")
    own, judged = board.loc[name], str(findings.verdict["strategy"])
    if not np.isfinite([float(own[one]) for one in ("sharpe", "sharpe_low", "sharpe_high")]).all():
        raise BadData(
            f"{name} traded too seldom for a Sharpe ratio with its interval, which its successors are compared with: "
            "deploy another model (deployment.model), or run on more history"
        )
    return Evidence(
        verdict=str(findings.verdict["verdict"]) if judged == name else "none",
        judged=judged, sharpe=float(own["sharpe"]), sharpe_low=float(own["sharpe_low"]),
        sharpe_high=float(own["sharpe_high"]), data_sha256=fingerprint(rows),
        configuration_sha256=_sha256(findings.parameters), environment_sha256=environment_sha256(),
        verdict_sha256=hashlib.sha256(json_file(findings.verdict)).hexdigest(),
    )  # fmt: skip


@functools.cache
def environment_sha256() -> str:
    """Of the names and versions of all installed packages, which stay the same while a process runs."""
    metadata = (one.metadata for one in distributions())  # parsed anew each time that it is asked for
    return _sha256(sorted({f"{one['Name']}=={one['Version']}".lower() for one in metadata}))


def _sha256(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
