"""Several models as one."""

EQUAL_WEIGHT = "equal_weight"  # the mean of all models of a run that know a direction, as a strategy of its own
FAMILY = "ensemble"
# The other ways to join forecasts and agents' positions, which a run makes where its parameters ask for them.
FORECAST_JOINS = (
    "inverse_loss", "stacking", "hard_vote", "by_uncertainty", "by_regime", "hedge", "adahedge", "bernstein",
)  # fmt: skip
# Weights that stand until models are fitted anew: such an ensemble can be deployed as one model.
STANDING = (EQUAL_WEIGHT, "inverse_loss", "stacking")
AGENT_JOINS = ("agents_vote", "agents_weighted")
BY_REGIME = "by_regime"
ENSEMBLES = frozenset({EQUAL_WEIGHT, *FORECAST_JOINS, *AGENT_JOINS})
