"""The feature_engineering stage."""

from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deferred import NodeModule
from tradewind.pipelines.feature_engineering.outputs import REPORTED

if TYPE_CHECKING:
    from tradewind.pipelines.feature_engineering import feature_nodes, label_nodes
else:
    feature_nodes = NodeModule("tradewind.pipelines.feature_engineering.feature_nodes")
    label_nodes = NodeModule("tradewind.pipelines.feature_engineering.label_nodes")


FEATURES = "params:feature_engineering.features"
LABELS = "params:feature_engineering.labels"


def create_pipeline() -> Pipeline:
    """Features and labels side by side, joined into model input; folds from its time span."""
    return Pipeline(
        [
            Node(
                feature_nodes.compute_features,
                ["bars", "side_series", "params:universe", FEATURES, "params:compute"],
                "features",
                name="compute_features",
            ),
            Node(
                feature_nodes.describe_features,
                ["features", "params:universe", FEATURES],
                ["feature_dictionary", "feature_distribution", "feature_dictionary_text"],
                name="describe_features",
            ),
            Node(
                label_nodes.make_labels,
                ["bars", "params:universe", LABELS, "params:feature_engineering.weights", "params:seed"],
                ["labels", "label_counts"],
                name="make_labels",
            ),
            Node(
                label_nodes.measure_horizon_returns,
                ["bars", "params:universe", "params:feature_engineering.horizons", LABELS],
                "horizon_returns",
                name="measure_horizon_returns",
            ),
            Node(
                label_nodes.assemble_model_input,
                [
                    "features",
                    "labels",
                    "label_counts",
                    "params:universe",
                    "params:feature_engineering.model_input",
                    LABELS,
                    "regimes",
                ],
                ["model_input", "label_quality"],
                name="assemble_model_input",
            ),
            Node(
                label_nodes.make_folds,
                ["model_input", "params:universe", "params:feature_engineering.folds", LABELS],
                "folds",
                name="make_folds",
            ),
            Node(label_nodes.compare_folds, ["labels", "folds"], "label_stability", name="compare_folds"),
            Node(
                feature_nodes.study_features,
                ["features", "bars", "folds", "params:universe", "params:feature_engineering.study"],
                ["feature_coefficients", "feature_drift", "feature_histograms"],
                name="study_features",
            ),
            Node(
                feature_nodes.list_report, [*REPORTED, "feature_dictionary_text"], "feature_report", name="list_report"
            ),
        ],
        namespace="feature_engineering",
        prefix_datasets_with_namespace=False,
        tags="feature_engineering",
    )
