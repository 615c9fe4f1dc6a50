"""The page of retrainings."""

from tradewind.operations.retraining.attempts import History
from tradewind.reports.retraining import render_retraining


def test_a_project_that_was_never_retrained_says_so() -> None:
    assert render_retraining(History((), ())) == (
        "# Retrainings\n\nThere is nothing to show: the table is empty.\n"
    )  # fmt: skip
