"""Several models as one."""

EQUAL_WEIGHT = "equal_weight"  # the mean of all models of a run that know a direction, as a strategy of its own
FAMILY = "ensemble"
