"""The online part of `kedro retrain`: the champion goes on learning instead of being trained anew."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tradewind.errors import BadParameters

TABLES = ("model_input", "bars", "side_series")  # of the origins: the rest is the parent's


def update(folder: Path, catalog: Any, registry: Any, rules: Any) -> Any:
    """Update the champion on the data as they were made, and say how it ended.

    Args:
        folder: of the journal.
        catalog: of the environment.
        registry: of versions and roles.
        rules: `params:operations.online`.

    Returns:
        How it ended (`operations.online.course.Ended`).
    """
    from tradewind.learning.models.walk_forward import pool
    from tradewind.operations.bundle.contents import Bundle
    from tradewind.operations.bundle.origins import ORIGINS, origins_file
    from tradewind.operations.bundle.warming import warm_files
    from tradewind.operations.online.course import JOURNAL, update_champion

    origins: Mapping[str, Any] = catalog.load("origins")

    def finish(files: dict[str, bytes]) -> dict[str, bytes]:
        came_from = {name: origins[name] for name in TABLES if name in origins}
        if came_from:
            files = {**files, ORIGINS: origins_file(came_from)}
        bundle = Bundle.from_files(files, "")
        universe, bars = bundle.spec.universe, catalog.load("bars")
        history = {symbol: bars[universe.partition(symbol)]() for symbol in universe.symbols}
        return files | warm_files(bundle, history, catalog.load("side_series"))

    rows = pool({name: load() for name, load in catalog.load("model_input").items()})
    ended = update_champion(registry, rows, rules, folder / JOURNAL, finish)
    click.echo(f"{ended.outcome}: {ended.why}")
    return ended


def history(folder: Path) -> str:
    """Every online update there was, a line each."""
    from tradewind.operations.online.course import JOURNAL, updates_of

    lines = [f"{one.at:%Y-%m-%d %H:%M}  {one.ended.outcome}  {one.ended.why}" for one in updates_of(folder / JOURNAL)]
    return "\n".join(lines) or "the champion was never updated online"


def require_on(rules: Any) -> None:
    """Nothing, where online learning is on: asked before bars are fetched.

    Raises:
        BadParameters: it is off.
    """
    if not rules.enabled:
        raise BadParameters("operations.online.enabled is false: set it to true to let the champion go on learning")
