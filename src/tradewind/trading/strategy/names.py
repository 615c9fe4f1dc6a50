"""What strategies without a model are called; apart from the strategies, so that no page is made anew by a new one."""

from tradewind.learning.ensemble import EQUAL_WEIGHT

RANDOM = "random_same_turnover"
MATCHED = "holding_same_exposure"
ORACLE = "oracle"
# As people write them, where the words of the name alone do not do.
TITLES = {
    "time_series_momentum": "time-series momentum",
    "last_bar_reversal": "last-bar reversal",
    RANDOM: "random, same turnover",
    MATCHED: "holding, same exposure",
    EQUAL_WEIGHT: "equal-weight ensemble",
    "stacking": "stacked ensemble",
    "agents_vote": "agents by vote",
    "agents_weighted": "agents by weight",
}
