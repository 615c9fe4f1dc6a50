"""The trial of a canary in service: what both versions said, and what follows from it."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.market.timeframes import bar_duration_ms
from tradewind.operations.bundle.contents import LATENCY, PROBE_TOLERANCE, WALK_FORWARD
from tradewind.operations.canary.expectation import FEWEST, expectation, in_common
from tradewind.operations.canary.fast_checks import FastChecks, Scored, Tripped
from tradewind.operations.canary.patience import patient
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.canary.slow_test import SlowTest
from tradewind.serving.variants import Variant
from tradewind.trading.decision.protocols import Decision

Floats = NDArray[np.float64]
KEPT = 5000  # timestamps whose labels may still settle


@dataclass
class Trial:
    """Champion and canary side by side.

    Attributes:
        champion, canary: the two versions.
        rules: of the trial.
        edges: of both on the bars since the champion's training, (bars, 2), where a retraining has compared them; else
            the bars that both walk-forwards have forecast say what an honest canary has in common with the champion.
    """

    champion: Variant
    canary: Variant
    rules: CanaryRules
    edges: Floats | None = None
    checks: FastChecks = field(init=False)
    slow: SlowTest = field(init=False)
    _waiting: "OrderedDict[int, dict[str, tuple[Floats, Floats]]]" = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        spec, bundle = self.canary.bundle.spec, self.canary.bundle
        pairs = self.edges
        if pairs is None or len(pairs) < FEWEST:
            pairs = in_common(self.champion.bundle.array(WALK_FORWARD), bundle.array(WALK_FORWARD))
        expected = expectation(pairs)
        if expected is not None:
            expected = patient(expected, pairs[:, 0], pairs[:, 1], self.rules)
        self.checks = FastChecks(self.rules, expected, float(bundle.document(LATENCY)["wall_ms"]["p99"]))
        self.slow = SlowTest(self.rules, spec.horizon_bars, bar_duration_ms(spec.universe.timeframe))
        self.checks.probed(bundle.probe_error(), PROBE_TOLERANCE)

    def score(self, x: NDArray[np.float32], champion: Floats, champion_ms: float) -> tuple[Floats | None, float]:
        """What the canary answers on the same row; the fast checks take it in.

        Args:
            x: features, shape (features,), or (window, features) for a network.
            champion: its forecast of the same row, shape (4,).
            champion_ms: how long it took, milliseconds.

        Returns:
            The canary's forecast, shape (4,), None if it failed, and its milliseconds.
        """
        try:
            said, took = self.canary.forecast(x)
        except Exception:  # noqa: BLE001 - whatever a canary does, the champion answers
            self.checks.observe(Scored(champion, None, champion_ms, 0.0))
            return None, 0.0
        self.checks.observe(Scored(champion, said, champion_ms, took))
        self._probe()
        return said, took

    def decided(self, champion: tuple[Decision, ...], canary: tuple[Decision, ...], bar_ms: int) -> None:
        """Take in what both decided on the same bars.

        Args:
            champion: its decisions on the latest bars.
            canary: its decisions on the same bars; some may be missing.
            bar_ms: length of a bar, milliseconds.
        """
        theirs = {(one.timestamp, one.symbol): one for one in canary}
        is_agent = self.champion.bundle.agent is not None
        for one in champion:
            mine = _compared(one, is_agent)
            if not np.isfinite(mine).all():
                continue
            other = theirs.get((one.timestamp, one.symbol))
            last = self.canary.latest.get(one.symbol)
            lag = 0.0 if other else (one.timestamp - (last.timestamp if last else 0)) / bar_ms
            said = _compared(other or last or one, is_agent)
            self.checks.observe(Scored(mine, said, 0.0, 0.0, lag))
            if not is_agent and other is not None and np.isfinite(said).all():
                self._waiting.setdefault(one.timestamp, {})[one.symbol] = (mine[:3], said[:3])
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
        return len(symbols)

    def _probe(self) -> None:
        if self.checks.decisions % self.rules.probe_every == 0:
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


def _compared(decision: Decision, is_agent: bool) -> Floats:
    """What the checks compare: the forecast of a model. Of an agent its position in [-1, 1], as if it were an edge: its
    forecaster may be sound and its policy not. It is NaN where the policy said no number."""
    if not is_agent:
        return np.array(decision[2:6])
    if "no_action" in decision.reasons or not np.isfinite(decision[2:6]).all():
        return np.full(4, np.nan)
    return np.array([(1.0 - decision.target) / 2.0, 0.0, (1.0 + decision.target) / 2.0, 0.0])
