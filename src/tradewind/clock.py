"""The only place that reads the time, so that everything else can be replayed."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current moment, UTC."""
    return datetime.now(UTC)
