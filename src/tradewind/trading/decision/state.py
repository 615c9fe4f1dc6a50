"""The state of a decider, and its form in bytes: JSON and raw arrays under one hash, no pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tradewind.errors import BadData
from tradewind.learning.features.assembly import AssemblyState
from tradewind.learning.features.packing import Arrays, pack, unpack
from tradewind.learning.features.stream import Plan, PlanState
from tradewind.market.volatility import VolatilityState

WHAT = "decision state"


@dataclass
class SymbolState:
    """What is carried of one symbol: its features, volatility, policy, the segment of its last bar (-1: none), and the
    state of its model of regimes (empty without one)."""

    plan: PlanState
    volatility: VolatilityState
    policy: Arrays
    segment: int = -1
    regimes: Arrays = field(default_factory=dict)

    def copy(self) -> "SymbolState":
        """The same state, which the original will not change."""
        policy = {name: array.copy() for name, array in self.policy.items()}
        regimes = {name: array.copy() for name, array in self.regimes.items()}
        return SymbolState(self.plan.copy(), self.volatility, policy, self.segment, regimes)


@dataclass
class DecisionState:
    """Everything that a decider carries from one bar to the next. `advance` moves it on in place: `copy` to keep it.

    Attributes:
        fingerprint: of the decider that it belongs to.
        assembly: of the bars that arrive.
        symbols: by symbol.
    """

    fingerprint: str
    assembly: AssemblyState
    symbols: dict[str, SymbolState]

    def copy(self) -> "DecisionState":
        """The same state, which the original will not change."""
        symbols = {name: one.copy() for name, one in self.symbols.items()}
        return DecisionState(self.fingerprint, self.assembly, symbols)

    def to_bytes(self, plan: Plan) -> bytes:
        """The state with its decider's fingerprint and a hash; `plan` is the decider's."""
        assembly, arrays = self.assembly.to_arrays()
        arrays = {f"assembly|{name}": array for name, array in arrays.items()}
        heads: dict[str, Any] = {}
        for symbol, one in self.symbols.items():
            head, parts = plan.to_arrays(one.plan)
            moves = one.volatility
            heads[symbol] = {
                "plan": head, "segment": one.segment, "volatility": [moves.close, moves.segment, moves.returns],
            }  # fmt: skip
            arrays |= {f"{symbol}|plan|{name}": array for name, array in parts.items()}
            arrays |= {f"{symbol}|policy|{name}": array for name, array in one.policy.items()}
            arrays |= {f"{symbol}|regimes|{name}": array for name, array in one.regimes.items()}
            arrays[f"{symbol}|squares"] = moves.squares
        return pack({"decider": self.fingerprint, "assembly": assembly, "symbols": heads}, arrays)

    @classmethod
    def from_bytes(cls, content: bytes, plan: Plan, fingerprint: str) -> "DecisionState":
        """The state again.

        Args:
            content: what `to_bytes` gave.
            plan: the decider's.
            fingerprint: the decider's.

        Raises:
            BadData: the bytes are damaged, or belong to another decider.
        """
        head, arrays = unpack(content, WHAT)
        if head.get("decider") != fingerprint:
            raise BadData("the saved decision state belongs to another decider: replay the history")
        symbols = {}
        for symbol, one in head["symbols"].items():
            close, segment, returns = one["volatility"]
            moves = VolatilityState(close, segment, returns, arrays[f"{symbol}|squares"])
            state = plan.from_arrays(one["plan"], _under(arrays, f"{symbol}|plan|"))
            policy, regimes = (_under(arrays, f"{symbol}|{part}|") for part in ("policy", "regimes"))
            symbols[symbol] = SymbolState(state, moves, policy, one["segment"], regimes)
        assembly = AssemblyState.from_arrays(head["assembly"], _under(arrays, "assembly|"))
        return cls(fingerprint, assembly, symbols)


def _under(arrays: Mapping[str, Any], start: str) -> Arrays:
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
