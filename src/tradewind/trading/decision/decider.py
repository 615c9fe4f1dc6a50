"""From closed bars to target positions with their reasons: the one path of evaluation, replay and live trading."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tradewind.errors import BadParameters
from tradewind.learning.features.assembly import Arrivals, Assembly
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.matrix import build_chunk, market_table
from tradewind.learning.features.spec import Feature
from tradewind.learning.features.stream import Plan
from tradewind.learning.regimes.base import FEATURES, Bars, RegimeModel
from tradewind.market.universe import Universe
from tradewind.market.volatility import begin_volatility, fold_volatility
from tradewind.trading.decision.protocols import FORECAST, Account, Decision, Observed, Policy, Seen, Steps
from tradewind.trading.decision.reasons import BEGAN, codes_of
from tradewind.trading.decision.state import DecisionState, SymbolState
from tradewind.trading.strategy.sizing import SizingRules

NOTHING_HELD = Account()


def assembly_of(
    universe: Universe, max_gap_bars: int, grace_ms: int = 0, stale_after_ms: Mapping[str, int] | None = None,
    settlements: tuple[str, ...] = (),
) -> Assembly:  # fmt: skip
    """How bars of the universe are put together.

    Args:
        universe: symbols, timeframe, reference symbol and side series.
        max_gap_bars: so many missing bars are bridged; one more begins a segment (as in `data_engineering`).
        grace_ms: how long after its close a timestamp waits for symbols that have not arrived.
        stale_after_ms: silence after which a side series is missing, by name.
        settlements: names of series whose values within each bar a policy's own account is charged with.
    """
    return Assembly(
        universe.symbols, universe.reference, int(universe.bar.total_seconds() * 1000), max_gap_bars,
        universe.side_series, grace_ms, stale_after_ms or {}, universe.trading_calendar, settlements,
    )  # fmt: skip


class Decider:
    """Decides for every symbol of a universe. It holds no state: `begin` makes one, `advance` moves it on."""

    def __init__(
        self,
        assembly: Assembly,
        features: Sequence[Feature],
        policy: Policy,
        sizing: SizingRules,
        identity: str = "",
        regimes: Mapping[str, RegimeModel] | None = None,
    ) -> None:
        """A decider of one policy.

        Args:
            assembly: how bars are put together (`assembly_of`).
            features: all features that are computed; the policy reads some of them.
            policy: a model with rules (`ForecastPolicy`), a rule (`RulePolicy`), or an agent.
            sizing: whose `volatility_window` the volatility is measured over.
            identity: what else a saved state must fit, such as the hash of the model.
            regimes: the fitted model of regimes of every symbol; `regime_*` then follow the features.

        Raises:
            BadParameters: the policy reads a feature that is not computed, or a symbol has no model of regimes.
        """
        self.assembly, self.policy = assembly, policy
        self.plan = Plan(features)
        self.regimes = dict(regimes or {})
        without = sorted(set(assembly.symbols) - set(self.regimes)) if self.regimes else []
        if without:
            raise BadParameters(f"no model of regimes for {', '.join(without)}: fit one for every symbol")
        self.names = tuple(feature.name for feature in features) + (FEATURES if self.regimes else ())
        self._window = sizing.volatility_window
        missing = [name for name in policy.features if name not in self.names]
        if missing:
            raise BadParameters(f"the policy reads features that are not computed: {', '.join(missing)}")
        parts = [self.plan.fingerprint(), repr(assembly), self._window, identity, type(policy).__name__]
        parts += [self.regimes[symbol].fingerprint() for symbol in sorted(self.regimes)]
        self.fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def begin(self) -> DecisionState:
        """The state before the first bar."""
        symbols = {name: self._begin_symbol(name) for name in self.assembly.symbols}
        return DecisionState(self.fingerprint, self.assembly.begin(), symbols)

    def _begin_symbol(self, symbol: str) -> SymbolState:
        regimes = self.regimes[symbol].begin() if self.regimes else {}
        return SymbolState(self.plan.begin(), begin_volatility(self._window), self.policy.begin(), regimes=regimes)

    def advance(
        self, state: DecisionState, arrivals: Arrivals, account: Account = NOTHING_HELD
    ) -> tuple[DecisionState, tuple[Decision, ...]]:
        """The state after the arrivals, and the decisions on every bar that they complete, by timestamp and symbol.

        Args:
            state: it is moved on in place.
            arrivals: bars and side values that have arrived since the last call, and the time it is.
            account: as it stands before these decisions.

        Raises:
            BadData: a bar that cannot be (see `Assembly.advance`).
        """
        state, observed = self.observe(state, arrivals, account)
        return state, decisions_of(observed)

    def observe(
        self, state: DecisionState, arrivals: Arrivals, account: Account = NOTHING_HELD
    ) -> tuple[DecisionState, tuple[Observed, ...]]:
        """`advance` with everything that the decisions were made of, one entry a symbol whose bars were completed.

        Args:
            state: it is moved on in place.
            arrivals: bars and side values that have arrived since the last call, and the time it is.
            account: as it stands before these decisions.

        Raises:
            BadData: a bar that cannot be (see `Assembly.advance`).
        """
        state.assembly, assembled = self.assembly.advance(state.assembly, arrivals)
        observed = [
            Observed(*self._step(state.symbols[symbol], symbol, chunk, account))
            for symbol, chunk in assembled.chunks.items()
        ]
        return state, tuple(observed)

    def _step(self, state: SymbolState, symbol: str, chunk: Chunk, account: Account) -> tuple[Seen, Steps]:
        """What is decided on each bar of the chunk, and on what; `state` is moved on."""
        lines = np.empty((len(self.names), len(chunk)), dtype=np.float32)
        computed = len(self.names) - (len(FEATURES) if self.regimes else 0)
        self.plan.advance(state.plan, chunk, lines[:computed])
        if self.regimes:
            state.regimes, announced = self.regimes[symbol].advance(state.regimes, Bars.of_chunk(chunk))
            lines[computed:] = announced.features()
        state.volatility, volatility = fold_volatility(state.volatility, chunk.close, chunk.segment)
        seen = Seen(symbol, chunk, self.names, lines.T, volatility)
        state.policy, steps = self.policy.advance(state.policy, seen, account)
        began = np.diff(chunk.segment, prepend=np.int32(state.segment)) != 0
        state.segment = int(chunk.segment[-1])
        return seen, steps._replace(reasons=steps.reasons | np.where(began, BEGAN, 0))

    def _split(self, tables: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
        """The tables that are joined as last known, and those that are summed up within each bar."""
        settled = {name: tables[name] for name in self.assembly.settlements if name in tables}
        wanted = set(self.assembly.side_series)
        return {name: one for name, one in tables.items() if name in wanted or name not in settled}, settled

    def to_bytes(self, state: DecisionState) -> bytes:
        """The state in a form that a killed process resumes from."""
        return state.to_bytes(self.plan)

    def from_bytes(self, content: bytes) -> DecisionState:
        """The state again.

        Raises:
            BadData: the bytes are damaged, or belong to another decider.
        """
        return DecisionState.from_bytes(content, self.plan, self.fingerprint)

    def decide_history(
        self, bars: Mapping[str, pd.DataFrame], side_series: Mapping[str, Mapping[str, pd.DataFrame]]
    ) -> pd.DataFrame:
        """The decisions of a whole history, which is one chunk from the begin state.

        Args:
            bars: checked bars with their segments, by symbol.
            side_series: by symbol, one table of `known_at` and `value` for each series of the universe, and for each
                that is settled.

        Returns:
            One row a symbol and bar: symbol, timestamp, the forecast, edge, target and reasons (codes, in one string).
        """
        market, tables = market_table(bars), []
        for symbol in self.assembly.symbols:
            side, settled = self._split(side_series.get(symbol, {}))
            chunk = build_chunk(bars[symbol], bars[self.assembly.reference], market, side, settled)
            if len(chunk):
                _, steps = self._step(self._begin_symbol(symbol), symbol, chunk, NOTHING_HELD)
                tables.append(_table(symbol, bars[symbol]["timestamp"], steps))
        return pd.concat(tables, ignore_index=True)


def decisions_of(observed: Sequence[Observed]) -> tuple[Decision, ...]:
    """The decisions by timestamp and symbol."""
    decisions: list[Decision] = []
    for seen, steps in observed:
        forecast, edge = steps.forecast.tolist(), steps.edge.tolist()
        target, reasons = steps.target.tolist(), steps.reasons.tolist()
        for row, timestamp in enumerate(seen.chunk.timestamp.tolist()):
            codes, (down, flat, up, expected) = codes_of(reasons[row]), forecast[row]
            decisions.append(Decision(timestamp, seen.symbol, down, flat, up, expected, edge[row], target[row], codes))
    return tuple(sorted(decisions, key=lambda one: one[:2]))


def _table(symbol: str, timestamp: pd.Series, steps: Steps) -> pd.DataFrame:
    table = pd.DataFrame({"symbol": symbol, "timestamp": timestamp.array}).astype({"symbol": "str"})
    for number, name in enumerate(FORECAST):
        table[name] = steps.forecast[:, number]
    reasons = [" ".join(codes_of(bits)) for bits in steps.reasons.tolist()]
    return table.assign(edge=steps.edge, target=steps.target, reasons=pd.array(reasons, dtype="str"))
