"""The policy of a rule without a model, and its targets over a whole history."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.catalogue import FeatureSelection, select
from tradewind.learning.features.matrix import build_chunk, market_table
from tradewind.learning.features.packing import Arrays
from tradewind.learning.features.stream import compute_batch
from tradewind.market.universe import Universe
from tradewind.trading.decision.protocols import Account, Floats, Seen, Steps
from tradewind.trading.decision.reasons import explain_position
from tradewind.trading.strategy.sizing import Held, SizingRules, fold_size
from tradewind.trading.strategy.spec import Strategy

RULE = "rule|"


@dataclass(frozen=True)
class RulePolicy:
    """Trades the direction of one rule, sized by volatility as a model's.

    Attributes:
        strategy: the rule.
        sizing: how large a position is.
        bars_per_year: of the universe.
        bars_per_day: of the universe, in a session.
    """

    strategy: Strategy
    sizing: SizingRules
    bars_per_year: float
    bars_per_day: float

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that the rule reads."""
        return self.strategy.features

    def begin(self) -> Arrays:
        """No bars seen, no position."""
        return {"held": np.array(Held())}

    def advance(self, state: Arrays, seen: Seen, account: Account) -> tuple[Arrays, Steps]:
        """The account plays no part. There is no forecast and no edge.

        Args:
            state: of `begin`, or as the last call left it.
            seen: features and volatility of the bars that follow.
            account: not read.
        """
        read = {name: seen.features[:, seen.names.index(name)].astype(np.float64) for name in self.features}
        before = {name.removeprefix(RULE): values for name, values in state.items() if name.startswith(RULE)}
        after, chosen = self.strategy.advance(before, seen.chunk, self.bars_per_day, read)
        held = Held(*state["held"].tolist())
        last = 0.0 if np.isnan(held.direction) else held.direction
        if self.strategy.is_sized:
            per_bar = float(self.sizing.target_volatility_annual / np.sqrt(self.bars_per_year))
            held, target = fold_size(held, chosen, seen.volatility, per_bar, self.sizing.max_position)
        else:
            held, target = Held(float(chosen[-1]), float(chosen[-1])), chosen
        nothing = np.full(len(chosen), np.nan)
        steps = Steps(np.full((len(chosen), 4), np.nan), nothing, target, explain_position(last, chosen, target))
        return {"held": np.array(held), **{f"{RULE}{name}": values for name, values in after.items()}}, steps


def chunks_of(bars: Mapping[str, pd.DataFrame], universe: Universe) -> dict[str, Chunk]:
    """The bars of each symbol with the market's columns, for rules; side series are left out."""
    market, reference = market_table(bars), bars[universe.reference]
    return {symbol: build_chunk(bars[symbol], reference, market, {}) for symbol in universe.symbols}


def rule_targets(
    strategy: Strategy, chunk: Chunk, volatility: Floats, sizing: SizingRules, universe: Universe
) -> Floats:
    """Targets of a rule on every bar of one symbol's history.

    Args:
        strategy: the rule.
        chunk: the history (`chunks_of`).
        volatility: of one bar's log return, one a bar.
        sizing: how large a position is.
        universe: whose timeframe the features are computed on.

    Raises:
        BadParameters: the rule reads a feature that the catalogue has not.
    """
    values: NDArray[np.float32] = np.empty((len(chunk), 0), dtype=np.float32)
    names: tuple[str, ...] = ()
    if strategy.features:
        chosen = select(FeatureSelection(include=strategy.features), universe.timeframe, ())
        values, names = compute_batch(chosen, chunk).T, tuple(one.name for one in chosen)
    policy = RulePolicy(strategy, sizing, universe.bars_per_year, universe.bars_per_day)
    seen = Seen("", chunk, names, values, volatility)
    return policy.advance(policy.begin(), seen, Account())[1].target
