"""The stage that makes bars: 01_raw to 03_primary."""

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.data_engineering import nodes, side_nodes

MARKET = "params:data_engineering.market"


def create_pipeline() -> Pipeline:
    """Received rows are typed, checked and segmented; refused rows are kept and counted; quality is described."""
    return Pipeline(
        [
            Node(
                nodes.type_bars,
                inputs=["source_bars", "params:universe", "params:compute"],
                outputs=["typed_bars", "unreadable_rows"],
                name="type_bars",
            ),
            Node(
                nodes.check_bars,
                inputs=["typed_bars", "unreadable_rows", "params:universe", MARKET, "params:compute"],
                outputs=["bars", "refused_rows", "counted_rows"],
                name="check_bars",
            ),
            Node(
                nodes.collect_refused,
                inputs=["refused_rows", "counted_rows"],
                outputs=["quarantine", "row_counts"],
                name="collect_refused",
            ),
            Node(
                side_nodes.collect_side_vintages,
                inputs=["source_side_series", "params:universe", MARKET],
                outputs=["side_vintages", "side_quarantine", "side_counts"],
                name="collect_side_vintages",
            ),
            Node(
                side_nodes.select_side_series,
                inputs=["side_vintages", "params:universe"],
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
                nodes.describe_quality,
                inputs=["bars", "row_counts", "quarantine"],
                outputs=["data_quality", "data_gaps_figure"],
                name="describe_quality",
            ),
        ],
        tags="data_engineering",
    )
