"""What the universe did at each close, against its definition."""

import numpy as np

from tradewind.learning.features.market_columns import cross_section


def test_ranks_are_shares_of_the_other_symbols_with_lower_returns() -> None:
    """Ties count half, symbols without a return not at all, and one that is alone stands in the middle."""
    rng = np.random.default_rng(5)
    for n_symbols in (1, 2, 3, 40):
        returns = np.round(rng.standard_normal((n_symbols, 60)), 1)
        returns[rng.random(returns.shape) < 0.3] = np.nan
        market, rank = cross_section(returns)
        for at, column in enumerate(returns.T):
            present = column[~np.isnan(column)]
            others = max(len(present) - 1, 1)
            expected = [
                np.nan if np.isnan(one) else
                ((present < one).sum() + ((present == one).sum() - 1) / 2) / others if len(present) > 1 else 0.5
                for one in column
            ]  # fmt: skip
            np.testing.assert_array_equal(rank[:, at], expected)
            if len(present):
                assert np.isclose(market[0, at], present.mean()) and np.isclose(market[2, at], present.std())
