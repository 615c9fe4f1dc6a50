"""Several models as one."""

EQUAL_WEIGHT = "equal_weight"  # the mean of all models of a run that know a direction, as a strategy of its own
FAMILY = "ensemble"
# The other ways to join forecasts and agents' positions, which a run makes where its parameters ask for them.
FORECAST_JOINS = (
    "inverse_loss", "stacking", "hard_vote", "by_uncertainty", "by_regime", "hedge", "adahedge", "bernstein",
)  # fmt: skip
AGENT_JOINS = ("agents_vote", "agents_weighted")
ENSEMBLES = frozenset({EQUAL_WEIGHT, *FORECAST_JOINS, *AGENT_JOINS})
