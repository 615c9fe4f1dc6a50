"""What the feature_engineering stage makes for the report."""

# The stage's tables in the report and on the page of features.
REPORTED = (
    "feature_dictionary", "feature_distribution", "feature_coefficients", "feature_drift", "feature_histograms",
    "label_quality", "label_stability",
)  # fmt: skip
