"""The stage that rebuilds order books. It is run by name: the default run has no recorded streams."""

from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines.order_book import nodes
else:
    nodes = NodeModule("tradewind.pipelines.order_book.nodes")


BOOK = "params:order_book.book"


def create_pipeline() -> Pipeline:
    """Depth to a book a second, checked against quotes; trades to bars; both to what orders cost."""
    return Pipeline(
        [
            Node(
                nodes.rebuild_books,
                ["source_depth", "source_trades", BOOK, "params:compute"],
                ["book_seconds", "walk_costs", "rejected_depth"],
                name="rebuild_books",
            ),
            Node(
                nodes.make_trade_bars,
                ["source_trades", BOOK, "params:compute"],
                ["trade_bars", "rejected_trades"],
                name="make_trade_bars",
            ),
            Node(
                nodes.check_books, ["book_seconds", "source_quotes", "source_depth"], "book_agreement",
                name="check_books",
            ),
            Node(nodes.measure_costs, "walk_costs", ["book_costs", "book_points"], name="measure_costs"),
            Node(nodes.draw_books, "book_seconds", "book_figure", name="draw_books"),
        ],
        namespace="order_book",
        prefix_datasets_with_namespace=False,
        tags="order_book",
    )  # fmt: skip
