"""Names of the side series that are made of the bars themselves; all others come from a source."""

# The scores of each day's end that features can join as side series, if the universe names them.
QUALITY_SERIES = (
    "quality_completeness", "quality_consistency", "quality_accuracy", "quality_outliers", "quality_staleness",
)  # fmt: skip
