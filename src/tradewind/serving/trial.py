"""The trial of a canary in service: the forecasts of both versions, and what follows from it."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.market.timeframes import bar_duration_ms
from tradewind.operations.bundle.contents import EXPECTED, LATENCY, PROBE, PROBE_TOLERANCE, WALK_FORWARD
from tradewind.operations.bundle.past import ITSELF, PAST
from tradewind.operations.canary.expectation import Expectation, expectation, in_common, on_past_rows
from tradewind.operations.canary.fast_checks import FastChecks, Scored, Tripped
from tradewind.operations.canary.itself import Itself
from tradewind.operations.canary.patience import MOST, patient
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.canary.slow_test import SlowTest
from tradewind.serving.variants import Variant
from tradewind.trading.decision.protocols import Decision

Floats = NDArray[np.float64]
# Evidence of settled labels for a canary, with which nobody asks it to be like the champion: one that is no better gets
# there in at most half of the trials (Ville 1939), an inverted one hardly ever, and long after the first decisions.
VOUCHED = 2.0
KEPT = 5000  # timestamps whose labels may still settle


@dataclass
class Trial:
    """Champion and canary side by side."""

    champion: Variant
    canary: Variant
    rules: CanaryRules
    checks: FastChecks = field(init=False)
    slow: SlowTest = field(init=False)
    _windows: dict[str, deque[NDArray[np.float32]]] = field(default_factory=dict)
    _waiting: "OrderedDict[int, dict[str, tuple[Floats, Floats]]]" = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        spec, bundle = self.canary.bundle.spec, self.canary.bundle
        self.checks = FastChecks(self.rules, self._expected(), float(bundle.document(LATENCY)["wall_ms"]["p99"]))
        self.slow = SlowTest(self.rules, spec.horizon_bars, bar_duration_ms(spec.universe.timeframe))
        self._features, self._answers = bundle.array(PROBE), bundle.array(EXPECTED)
        self._spread = max(float((self._answers[:, 2] - self._answers[:, 0]).std()), 1e-3)
        self.checks.probed(bundle.probe_error(), PROBE_TOLERANCE)
        self.checks.begun(Itself.of(bundle.document(ITSELF)) if ITSELF in bundle.files else None)

    def _expected(self) -> Expectation | None:
        """What the two have in common on the canary's past rows, as they are deployed; for how long they differ, their
        walk-forwards say."""
        champion, canary = self.champion.bundle, self.canary.bundle
        folds = champion.array(WALK_FORWARD), canary.array(WALK_FORWARD)
        expected = expectation(*folds)
        if expected is not None:
            mine, theirs = in_common(*folds).T
            expected = patient(expected, mine, theirs)
        if PAST not in canary.files:
            return expected
        rows = canary.array(PAST)
        forecasts = [one.forecaster.predict_many(_as_read(one.forecaster, rows)) for one in (champion, canary)]
        return on_past_rows(forecasts[0], forecasts[1], expected.patience if expected else MOST) or expected

    def score(self, x: NDArray[np.float32], champion: Floats, champion_ms: float) -> tuple[Floats | None, float]:
        """What the canary answers on the same row; the fast checks take it in.

        Args:
            x: features, shape (features,), or (window, features) for a network.
            champion: its forecast of the same row, shape (4,).
            champion_ms: how long it took, milliseconds.

        Returns:
            The canary's forecast, shape (4,), None if it failed, and its milliseconds.
        """
        forecast, took = self._forecast(x)
        if forecast is None:
            self.checks.observe(Scored(champion, None, champion_ms, 0.0))
            return None, 0.0
        self.checks.observe(Scored(champion, forecast, champion_ms, took))
        self._probe()
        return forecast, took

    def _forecast(self, x: NDArray[np.float32]) -> tuple[Floats | None, float]:
        try:
            return self.canary.forecast(x)
        except Exception:  # noqa: BLE001 - whatever a canary does, the champion answers
            return None, 0.0

    def decided(self, champion: tuple[Decision, ...], canary: tuple[Decision, ...], bar_ms: int) -> None:
        """Take in what both decided on the same bars.

        Args:
            champion: its decisions on the latest bars.
            canary: its decisions on the same bars; some may be missing.
            bar_ms: length of a bar, milliseconds.
        """
        theirs = {(one.timestamp, one.symbol): one for one in canary}
        is_agent, inputs = self.champion.bundle.agent is not None, self._inputs()
        for one in champion:
            mine = _compared(one, is_agent)
            if not np.isfinite(mine).all():
                continue
            other = theirs.get((one.timestamp, one.symbol))
            last = self.canary.latest.get(one.symbol)
            lag = 0.0 if other else (one.timestamp - (last.timestamp if last else 0)) / bar_ms
            compared = _compared(other or last or one, is_agent)
            elsewhere = self._elsewhere(other, inputs.get((one.timestamp, one.symbol))) if other else 0.0
            self.checks.observe(Scored(mine, compared, 0.0, 0.0, lag, elsewhere))
            if not is_agent and other is not None and np.isfinite(compared).all():
                self._waiting.setdefault(one.timestamp, {})[one.symbol] = (mine[:3], compared[:3])
        while len(self._waiting) > KEPT:
            self._waiting.popitem(last=False)
        self._probe()

    def settle(self, at_ms: int, labels: dict[str, int]) -> int:
        """Take in the labels of one bar; how many of them had a forecast by both."""
        known = self._waiting.pop(at_ms, {})
        symbols = sorted(known.keys() & labels)
        if symbols and at_ms > self.slow.last_ms:
            pairs = [known[symbol] for symbol in symbols]
            self.slow.settle(
                at_ms, np.stack([one for one, _ in pairs]), np.stack([two for _, two in pairs]),
                np.array([labels[symbol] for symbol in symbols]),
            )  # fmt: skip
            self.checks.is_vouched = self.slow.e_value >= VOUCHED
        return len(symbols)

    def _inputs(self) -> dict[tuple[int, str], NDArray[np.float32]]:
        """What the champion's last decisions were made of, as the canary would read it, by timestamp and symbol."""
        found, forecaster = {}, self.canary.bundle.forecaster
        for seen, _ in self.champion.observed:
            places = [seen.names.index(name) for name in forecaster.features]
            window = self._windows.setdefault(seen.symbol, deque(maxlen=forecaster.window_bars))
            for at, row in zip(seen.chunk.timestamp.tolist(), seen.features[:, places], strict=True):
                window.append(row)
                if len(window) == forecaster.window_bars:
                    found[at, seen.symbol] = np.stack(window)
        return found

    def _elsewhere(self, decision: Decision, x: NDArray[np.float32] | None) -> float:
        """By how much of its spread the edge that the canary decided by differs from what it says of `x`."""
        if x is None or not np.isfinite(decision[2:6]).all():
            return 0.0
        again, _ = self._forecast(x)
        if again is None:
            return np.inf
        return abs((decision.p_up - decision.p_down) - float(again[2] - again[0])) / self._spread

    def _probe(self) -> None:
        """A row of the probe by the way that requests take, and now and then the whole of it."""
        count = self.checks.decisions
        if count % self.rules.probe_row_every == 0:
            at = count // self.rules.probe_row_every % len(self._features)
            forecast, _ = self._forecast(self._features[at])
            apart = np.inf if forecast is None else float(np.abs(forecast - self._answers[at]).max())
            self.checks.probed(apart, PROBE_TOLERANCE)
        if count % self.rules.probe_every == 0:
            self.checks.probed(self.canary.bundle.probe_error(), PROBE_TOLERANCE)

    @property
    def tripped(self) -> Tripped | None:
        """Why the canary is to be taken back, if it is."""
        return self.checks.tripped

    def has_tripped(self) -> bool:
        """Whether the canary is to be taken back."""
        return self.checks.tripped is not None

    def described(self) -> dict[str, Any]:
        """The state of both tiers."""
        tripped = self.tripped
        return {
            "champion": self.champion.version, "canary": self.canary.version, "share": self.rules.share,
            "decisions": self.checks.decisions, "tripped": tripped._asdict() if tripped else None,
            "expected": self.checks.expected._asdict() if self.checks.expected else None,
            "e_value": self.slow.e_value, "e_value_worse": self.slow.e_value_worse, "days": self.slow.days,
            "outcome": self.slow.outcome,
            "compared": "positions" if self.champion.bundle.agent is not None else "forecasts",
        }  # fmt: skip


def _as_read(forecaster: OnnxForecaster, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same inputs with the axes that the graph has: a window of one bar may be a row or not."""
    shape = (forecaster.window_bars, len(forecaster.features)) if forecaster.reads_windows else rows.shape[-1:]
    return rows.reshape(-1, *shape)


def _compared(decision: Decision, is_agent: bool) -> Floats:
    """What the checks compare: the forecast of a model. Of an agent its position in [-1, 1], as if it were an edge: its
    forecaster may be sound and its policy not. It is NaN where the policy gave no number."""
    if not is_agent:
        return np.array(decision[2:6])
    if "no_action" in decision.reasons or not np.isfinite(decision[2:6]).all():
        return np.full(4, np.nan)
    return np.array([(1.0 - decision.target) / 2.0, 0.0, (1.0 + decision.target) / 2.0, 0.0])
