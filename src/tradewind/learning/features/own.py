"""Your features: a decorated function here is in batch, live, the dictionary, the laws and the report.

    @feature(tier=2, unit="log-return", source="my idea", variants=(24, 72))
    def weekly_pull(bars: Bars, window: int) -> Expression:
        '''Log distance of the close from the middle of its range.'''
        middle = (op.highest(bars.high, window) + op.lowest(bars.low, window)) / 2
        return op.log(bars.close / middle)

`kedro audit-features` holds it to the laws on your data.
"""

# What a feature is written with.
from tradewind.learning.features import operators as op  # noqa: F401
from tradewind.learning.features.expression import Expression  # noqa: F401
from tradewind.learning.features.operators import Bars  # noqa: F401
from tradewind.learning.features.spec import feature  # noqa: F401
