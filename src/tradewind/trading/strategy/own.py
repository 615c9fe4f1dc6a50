"""Your strategies: a decorated function here is on the leaderboard, in the replay and live.

    @strategy(lookback=round)
    def follow_the_day(bars: Chunk, features: Features, bars_per_day: float) -> Floats:
        '''Long after a day that rose, short after one that fell.'''
        return sign_of_change(bars, round(bars_per_day))

The rule reads bars of one symbol, oldest first, at most `lookback` bars before each, and never one after it. With
`features=("rsi_14",)` it reads those by name as well: `features["rsi_14"]`.
"""

# What a strategy is written with.
from tradewind.learning.features.bars import Chunk  # noqa: F401
from tradewind.trading.strategy.spec import Features, Floats, sign_of_change, strategy  # noqa: F401
