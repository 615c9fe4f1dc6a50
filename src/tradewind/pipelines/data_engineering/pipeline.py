"""The stage that makes bars: 01_raw to 03_primary."""

from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines.data_engineering import nodes, quality_nodes, side_nodes
else:
    nodes = NodeModule("tradewind.pipelines.data_engineering.nodes")
    quality_nodes = NodeModule("tradewind.pipelines.data_engineering.quality_nodes")
    side_nodes = NodeModule("tradewind.pipelines.data_engineering.side_nodes")


MARKET = "params:data_engineering.market"
QUALITY = "params:data_engineering.quality"


def create_pipeline() -> Pipeline:
    """Received rows are typed, checked and segmented; rejected rows are kept and counted; quality is described,
    and bars that are not good enough go no further."""
    return Pipeline(
        [
            Node(
                nodes.type_bars,
                inputs=["source_bars", "params:universe", "params:compute"],
                outputs=["typed_bars", "rejected_at_typing"],
                name="type_bars",
            ),
            Node(
                nodes.check_bars,
                inputs=["typed_bars", "rejected_at_typing", "params:universe", MARKET, "params:compute"],
                outputs=["checked_bars", "rejected_rows", "counted_rows"],
                name="check_bars",
            ),
            Node(
                nodes.collect_rejected,
                inputs=["rejected_rows", "counted_rows"],
                outputs=["quarantine", "row_counts"],
                name="collect_rejected",
            ),
            Node(
                side_nodes.collect_side_vintages,
                inputs=["source_side_series", "params:universe", MARKET],
                outputs=["side_vintages", "side_quarantine", "side_counts"],
                name="collect_side_vintages",
            ),
            Node(
                side_nodes.select_side_series,
                inputs=["side_vintages", "quality_series", "params:universe"],
                outputs="side_series",
                name="select_side_series",
            ),
            Node(
                side_nodes.describe_side_series,
                inputs=["side_vintages", "side_series", "bars", "params:universe"],
                outputs="side_coverage",
                name="describe_side_series",
            ),
            Node(
                quality_nodes.compare_tables,
                inputs=["source_bars", "checked_bars", "params:universe", QUALITY, "params:compute"],
                outputs="quality_agreement",
                name="compare_tables",
            ),
            Node(
                quality_nodes.describe_quality,
                inputs=["checked_bars", "row_counts", "quarantine", "quality_agreement", QUALITY, "params:compute",
                        "params:universe"],
                outputs=[
                    "data_quality",
                    "quality_scores",
                    "bar_flags",
                    "quality_runs",
                    "quality_calendar",
                    "quality_drift",
                    "quality_series",
                    "data_gaps_figure",
                    "quality_scores_figure",
                    "quality_drift_figure",
                    "data_quality_page",
                ],
                name="describe_quality",
            ),
            Node(
                quality_nodes.require_quality,
                inputs=["checked_bars", "quality_scores"],
                outputs="bars",
                name="require_quality",
            ),
            Node(
                quality_nodes.list_report,
                inputs=[
                    "data_quality", "side_coverage", "side_quarantine", "side_counts", "bar_flags", "quality_runs",
                    "quality_calendar", "quality_drift", "quality_scores_figure", "quality_drift_figure",
                    "data_quality_page",
                ],
                outputs="data_report",
                name="list_report",
            ),
        ],
        namespace="data_engineering",
        prefix_datasets_with_namespace=False,
        tags="data_engineering",
    )  # fmt: skip
