"""What a bundle says of itself, and the bundle as what decides."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tradewind.adaptive.rl.deciding import FUNDING, AgentPolicy
from tradewind.errors import BadModel
from tradewind.learning.features.catalogue import FeatureSelection, select
from tradewind.learning.features.stream import Plan
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.learning.regimes.base import PREFIX, RegimeModel
from tradewind.market.universe import Universe
from tradewind.operations.bundle import agents
from tradewind.operations.bundle.origins import ORIGINS, require_agreement
from tradewind.operations.bundle.regimes import RegimesInService
from tradewind.operations.bundle.sealing import Files
from tradewind.parameters import Parameters
from tradewind.trading.decision.decider import Decider, assembly_of
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.decision.targets import TargetRules
from tradewind.trading.setup import TradingSetup

FORMAT = 1
SPEC, GRAPH, REFERENCE, LATENCY, VERDICT = (
    "bundle.json", "decision.onnx", "reference.json", "latency.json", "verdict.json",
)  # fmt: skip
# What new data is compared with; a bundle without it can be served, and not watched for drift.
DRIFT = "drift.json"
PROBE, EXPECTED, WALK_FORWARD = "probe-features.npy", "probe-forecasts.npy", "walk-forward.npy"
FORECASTED = ["p_down", "p_flat", "p_up", "expected_return"]
PROBE_TOLERANCE = 1e-6
Floats = NDArray[np.float64]


class Evidence(Parameters):
    """What is known of the procedure that the model was refitted by; nothing of it is about the refit itself.

    Attributes:
        verdict: go, watch, no-go; or none, where the run's verdict is about another strategy.
        judged: the strategy that the run's verdict is about.
        sharpe, sharpe_low, sharpe_high: of this procedure, walk-forward, net, annualised, with the interval.
        data_sha256, configuration_sha256, environment_sha256, verdict_sha256: of the model input, of all parameters, of
            the names and versions of all installed packages, and of the verdict.
    """

    verdict: str
    judged: str
    sharpe: float
    sharpe_low: float
    sharpe_high: float
    data_sha256: str
    configuration_sha256: str
    environment_sha256: str
    verdict_sha256: str


class BundleSpec(Parameters):
    """What a bundle is (`bundle.json`).

    Attributes:
        name, family, seed, parameters, training: the procedure: the model of the catalogue, as in its walk-forward.
        weights: of an ensemble's members, by name.
        created_at: UTC, ISO 8601.
        universe, trading, selection: as `params:universe`, `params:trading`, `params:feature_engineering.features`.
        features: that the model reads, in their order.
        plan_fingerprint: of all features that are computed.
        max_gap_bars, max_missing_share, horizon_bars: as in data and feature engineering.
        trained_from, trained_to, trained_rows: the settled labels that it was fitted on; instants ISO 8601.
        evidence: of the procedure.
    """

    format: int = FORMAT
    name: str
    family: str
    seed: int
    parameters: dict[str, Any]
    training: dict[str, Any]
    weights: dict[str, float] | None = None
    created_at: str
    universe: Universe
    trading: TradingSetup
    selection: FeatureSelection
    features: tuple[str, ...]
    plan_fingerprint: str
    max_gap_bars: int
    max_missing_share: float
    horizon_bars: int
    trained_from: str
    trained_to: str
    trained_rows: int
    evidence: Evidence


@dataclass(frozen=True)
class Bundle:
    """A model with everything it needs to decide, from files whose hashes were checked.

    Attributes:
        identity: SHA-256 of the manifest.
        spec: what it is.
        forecaster: the ONNX graph; of an agent the forecaster that it reads.
        files: all of its files.
        agent: what decides, where that is an agent.
    """

    identity: str
    spec: BundleSpec
    forecaster: OnnxForecaster
    files: Files
    agent: AgentPolicy | None = None

    @classmethod
    def from_files(cls, files: Files, identity: str) -> "Bundle":
        """From trusted files (`sealing.read_bundle`).

        Raises:
            BadModel: a file is missing or was written by another version, or the features of this installation are
                not those that the model was trained on, or what it came from contradicts itself.
        """
        missing = {SPEC, GRAPH, REFERENCE, LATENCY, VERDICT, PROBE, EXPECTED, WALK_FORWARD} - set(files)
        if missing:
            raise BadModel(f"bundle {identity[:24]} lacks {', '.join(sorted(missing))}: deploy the model again")
        try:
            spec = BundleSpec.model_validate_json(files[SPEC])
        except ValidationError as error:
            raise BadModel(f"bundle {identity[:24]}: {SPEC} was written by another version: {error}") from error
        wanted = agents.FORMAT if spec.family == agents.FAMILY else FORMAT
        if spec.format != wanted:
            raise BadModel(f"bundle {identity[:24]} has format {spec.format}, this version reads {wanted}")
        found = Plan(select(spec.selection, spec.universe.timeframe, spec.universe.side_series)).fingerprint()
        if found != spec.plan_fingerprint:
            raise BadModel(
                f"bundle {identity[:24]} was trained on features that this installation computes otherwise: deploy the "
                "model again, or serve it with the version that made it"
            )
        if ORIGINS in files:
            own = {"universe": spec.universe, "feature_engineering.features": spec.selection}
            require_agreement(files[ORIGINS], own, f"bundle {identity[:24]}")
        RegimesInService.from_files(files, spec.universe.symbols)  # damaged ones are refused now, not when asked
        forecaster, agent = OnnxForecaster.from_bytes(files[GRAPH], spec.features), None
        if spec.family == agents.FAMILY:
            agent = agents.policy_of(files, forecaster, spec.universe, spec.trading, spec.max_missing_share)
        return cls(identity, spec, forecaster, files, agent)

    def decider(self, grace_ms: int = 0) -> Decider:
        """What decides bar by bar, the same as evaluation does.

        Args:
            grace_ms: how long after its close a timestamp waits for symbols that have not arrived.
        """
        spec = self.spec
        setup = spec.trading
        rules = TargetRules(setup.signal, setup.sizing, setup.costs, spec.universe.bars_per_year)
        chosen = select(spec.selection, spec.universe.timeframe, spec.universe.side_series)
        policy = self.agent or ForecastPolicy(self.forecaster, rules, spec.max_missing_share)
        settlements = (FUNDING,) if self.agent else ()
        assembly = assembly_of(spec.universe, spec.max_gap_bars, grace_ms, settlements=settlements)
        return Decider(assembly, chosen, policy, setup.sizing, self.deciding_sha256, self._regimes_that_are_read())

    @property
    def deciding_sha256(self) -> str:
        """Of the files that decide: the graph, and of an agent its policies and the terms of its accounts."""
        digest = hashlib.sha256(self.files[GRAPH])
        if self.agent:
            for name in sorted(one for one in self.files if one.startswith("seed-")):
                digest.update(hashlib.sha256(self.files[name]).digest())
            digest.update(repr((self.spec.trading, self.spec.max_missing_share)).encode())
        return digest.hexdigest()

    def regimes(self) -> RegimesInService | None:
        """Its models of regimes with a state of their own, as they stood after the run's last bar; None without."""
        return RegimesInService.from_files(self.files, self.spec.universe.symbols)

    def _regimes_that_are_read(self) -> Mapping[str, RegimeModel] | None:
        if not any(name.startswith(PREFIX) for name in self.spec.features):
            return None
        found = self.regimes()
        if found is None:
            raise BadModel(f"bundle {self.identity[:24]} reads regimes and has no model of them: deploy it again")
        return found.models

    @property
    def trial_terms(self) -> tuple[Any, ...]:
        """What a canary must have in common with the champion: universe, horizon, features and window, and whether it
        is an agent, which is compared by its positions."""
        spec = self.spec
        return spec.universe, spec.horizon_bars, spec.features, self.forecaster.window_bars, self.agent is not None

    def document(self, name: str) -> Any:
        """One of its JSON files."""
        return json.loads(self.files[name])

    def array(self, name: str) -> NDArray[Any]:
        """One of its arrays."""
        return np.load(io.BytesIO(self.files[name]), allow_pickle=False)

    def probe_error(self) -> float:
        """By how much the graph differs here from what the trained model gave for the probe rows, and the positions of
        an agent from those that it held on the probe's bars; inf for no number."""
        features = self.array(PROBE)
        apart = float(np.abs(self.forecaster.predict_many(features) - self.array(EXPECTED)).max())
        if self.agent is not None:
            seen = agents.seen_of(features, self.array(agents.PROBE_BARS), self.spec.features)
            apart = max(apart, agents.probe_error(self.agent, seen, self.array(agents.PROBE_POSITIONS)))
        return apart if np.isfinite(apart) else float("inf")


def essence(files: Files) -> str:
    """SHA-256 of what a bundle is, whenever it was made and however busy the machine was that timed it."""
    parts: dict[str, Any] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    parts[SPEC] = {key: value for key, value in json.loads(files[SPEC]).items() if key != "created_at"}
    parts[LATENCY] = json.loads(files[LATENCY])["machine"]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def array_file(values: NDArray[Any]) -> bytes:
    """An array as a file of numpy's own format, without pickles."""
    out = io.BytesIO()
    np.save(out, values, allow_pickle=False)
    return out.getvalue()


def json_file(document: Any) -> bytes:
    """A document as JSON; what is not finite is refused."""
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()
