"""The gate that bars pass: below a limit the run stops, with what is wrong and where to look."""

import logging

import pandas as pd

from tradewind.errors import BadData

logger = logging.getLogger(__name__)


def require_good(scores: pd.DataFrame, where: str) -> None:
    """Nothing, if no score is below its `stop`; each below its `warn` is logged as a warning.

    Args:
        scores: rows of `QualityScores`.
        where: where the report and its tables are, for the message.

    Raises:
        BadData: the scores that are too low, with limits, causes and remedy, worst first.
    """
    for row in scores.loc[scores["state"] == "warn"].to_dict("records"):
        logger.warning("%s", _sentence(row, "warn"))
    failed = scores.loc[scores["state"] == "stop"].sort_values("value", kind="stable")
    if failed.empty:
        return
    lines = [f"  {_sentence(row, 'stop')}" for row in failed.to_dict("records")]
    settings = ",".join(
        f"data_engineering.quality.thresholds.{score}.stop={_below(lowest)}"
        for score, lowest in failed.groupby("score", sort=False)["value"].min().items()
    )
    raise BadData(
        f"the bars are not good enough: {len(failed)} of {len(scores)} scores are below their limit in "
        "data_engineering.quality.thresholds\n" + "\n".join(lines) + f"\nThe report and the tables behind it are in "
        f"{where}. No later stage reads these bars. Correct the source, take the symbol out of the universe, or accept "
        f"them as they are: --params={settings}"
    )


def _sentence(row: dict[str, object], limit: str) -> str:
    name = "/".join(str(row[part]) for part in ("venue", "symbol", "timeframe"))
    causes = f": {row['causes']}" if row["causes"] else ""
    return (
        f"{name}: {row['score']} {row['value']:.4f} is below {limit} {row[limit]:.4f} ({row['measure']}: "
        f"{row['held']:,.0f} of {row['looked_at']:,.0f}){causes}"
    )


def _below(value: float) -> str:
    """A limit that the value meets, in four digits."""
    return f"{int(value * 10_000) / 10_000:.4f}"
