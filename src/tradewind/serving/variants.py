"""A loaded version with the bars that it has seen: the champion, or its canary."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.learning.features.assembly import Arrivals, Bar
from tradewind.market.timeframes import bar_duration_ms
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.regimes import RegimesInService
from tradewind.operations.bundle.warming import DECISIONS, STATE, read_decisions
from tradewind.serving.refusals import Refusal
from tradewind.trading.decision.decider import Decider, decisions_of
from tradewind.trading.decision.protocols import Decision, Observed
from tradewind.trading.decision.state import DecisionState

Floats = NDArray[np.float64]


@dataclass
class Variant:
    """One version in service. Its decisions come from its `Decider` alone; only `advance` changes it.

    Attributes:
        version: its number.
        bundle: what it is.
        overridden: what the gate missed when an operator let it in.
        latest: the last decision of each symbol.
        regimes: its models of regimes, after the same bars; None if it has none.
        observed: what its last decisions were made of.
    """

    version: int
    bundle: Bundle
    overridden: str
    latest: dict[str, Decision]
    _decider: Decider
    _state: DecisionState
    regimes: RegimesInService | None = None
    observed: tuple[Observed, ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, version: int, bundle: Bundle, overridden: str) -> "Variant":
        """As it was deployed: after the last bar of the run that it comes from, if the bundle has that state.

        Args:
            version: its number in the registry.
            bundle: with hashes checked.
            overridden: what the gate missed when an operator let it in, "" if nothing.

        Returns:
            Ready to decide.
        """
        decider = bundle.decider()
        if STATE not in bundle.files:
            return cls(version, bundle, overridden, {}, decider, decider.begin(), bundle.regimes())
        latest = read_decisions(bundle.files[DECISIONS])
        state = decider.from_bytes(bundle.files[STATE])
        return cls(version, bundle, overridden, latest, decider, state, bundle.regimes())

    @property
    def name(self) -> str:
        """Of its model."""
        return self.bundle.spec.name

    @property
    def done_ms(self) -> int:
        """The last timestamp that it has decided on, -1 for none."""
        return self._state.assembly.done_ms

    def warm(self) -> None:
        """Compile what decides, on bars that go nowhere: the first real bar shall not wait for it."""
        bar_ms = bar_duration_ms(self.bundle.spec.universe.timeframe)
        bars = tuple(
            Bar(symbol, at * bar_ms, (at + 1) * bar_ms, 1.0, 1.0, 1.0, 1.0, 1.0)
            for at in range(2) for symbol in self.bundle.spec.universe.symbols
        )  # fmt: skip
        _, observed = self._decider.observe(self._decider.begin(), Arrivals(2 * bar_ms, bars))
        throwaway = self.bundle.regimes()
        if throwaway is not None:
            throwaway.latest, throwaway.states = {}, {}
            throwaway.take_in(observed)

    def advance(self, arrivals: Arrivals) -> tuple[Decision, ...]:
        """The decisions on every bar that the arrivals complete."""
        with self._lock:
            self._state, observed = self._decider.observe(self._state, arrivals)
            if self.regimes is not None:
                self.regimes.take_in(observed)
            self.observed = observed
            decisions = decisions_of(observed)
            self.latest = {**self.latest, **{one.symbol: one for one in decisions}}
            return decisions

    def forecast(self, x: NDArray[np.float32]) -> tuple[Floats, float]:
        """The forecast (4,) of a row or window, and the milliseconds that it took."""
        began = time.perf_counter()
        values = self.bundle.forecaster.predict_row(x)
        return values, (time.perf_counter() - began) * 1e3

    def row_of(self, given: Mapping[str, float | None] | list[Mapping[str, float | None]]) -> NDArray[np.float32]:
        """Features by name in the model's order; what is missing is NaN.

        Raises:
            Refusal: 422 with the field: a feature is missing or unknown, too large, or the window has another length.
        """
        forecaster = self.bundle.forecaster
        rows = given if isinstance(given, list) else [given]
        if len(rows) != forecaster.window_bars:
            raise Refusal(
                422, f"{self.name} reads {forecaster.window_bars} bars, found {len(rows)}",
                "send a list of so many bars, oldest first", "features",
            )  # fmt: skip
        return np.stack([self._row(row) for row in rows])

    def _row(self, given: Mapping[str, float | None]) -> NDArray[np.float32]:
        names = self.bundle.forecaster.features
        for name in names:
            if name not in given:
                raise Refusal(422, f"feature {name} is missing", "send null for what is not known", f"features.{name}")
        if len(given) != len(names):
            extra = next(name for name in given if name not in set(names))
            raise Refusal(422, f"{self.name} reads no feature {extra}", "leave it out", f"features.{extra}")
        values = np.array([np.nan if given[name] is None else given[name] for name in names], dtype=np.float64)
        with np.errstate(over="ignore"):
            row = values.astype(np.float32)
        if np.isinf(row).any():
            name = names[int(np.argmax(np.isinf(row)))]
            raise Refusal(422, f"feature {name} is too large", "send a number of single precision", f"features.{name}")
        return row


def catch_up(variant: Variant, kept: list[Arrivals]) -> None:
    """Let a version that was just loaded see the bars that the service has received since its last one.

    Raises:
        BadData: a bar that cannot be.
    """
    for arrivals in kept:
        news = tuple(bar for bar in arrivals.bars if bar.timestamp > variant.done_ms)
        known = {bar.symbol for bar in news} <= set(variant.bundle.spec.universe.symbols)
        if not known:
            raise BadData(f"{variant.name} knows other symbols than those whose bars arrive")
        variant.advance(Arrivals(arrivals.now_ms, news, arrivals.side))
