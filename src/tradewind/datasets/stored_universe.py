"""What is traded, read from the store that holds it: for configurations that name no symbols."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tradewind.data.files.bar_key import BarKey
from tradewind.datasets.connection import Connection
from tradewind.errors import BadParameters


def universe_of_store(universe: Mapping[str, Any], store: Mapping[str, Any], project: Path) -> dict[str, Any]:
    """`params:universe` with what it leaves open filled in from the store's bars.

    Args:
        universe: the parameters; null is what the store is to tell.
        store: settings of the store that `source_bars` reads.
        project: the folder that its path is relative to.

    Returns:
        The parameters, complete.

    Raises:
        BadParameters: the store has no such bars, or bars of several venues or timeframes.
    """
    settings = dict(store)
    if isinstance(settings.get("path"), str) and "://" not in settings["path"]:
        settings["path"] = str(project / settings["path"])
    with Connection(settings).store() as opened:
        keys = opened.keys()
    return complete(universe, keys, str(store.get("path", store.get("kind"))))


def complete(universe: Mapping[str, Any], keys: Sequence[BarKey], where: str) -> dict[str, Any]:
    """`params:universe` with what it leaves open filled in from the keys of a store.

    Args:
        universe: `params:universe`, in which venue, timeframe and symbols may be missing.
        keys: that the store holds.
        where: the store, for messages.

    Returns:
        The same with venue, timeframe and symbols.

    Raises:
        BadParameters: no key fits what is given, or those that fit are of several venues or timeframes.
    """
    given = universe.get("symbols")
    symbols = tuple(given.split() if isinstance(given, str) else given or ())
    fitting = [
        key
        for key in keys
        if universe.get("venue") in (None, key.venue)
        and universe.get("timeframe") in (None, key.timeframe)
        and (not symbols or key.symbol in symbols)
    ]
    held = ", ".join(map(str, keys)) or "nothing"
    if not fitting:
        raise BadParameters(
            f"{where} holds {held}: import bars first (`kedro import-bars FILE`), or ask for what it has"
        )
    markets = sorted({(key.venue, key.timeframe) for key in fitting})
    if len(markets) > 1:
        venue, timeframe = markets[0]
        raise BadParameters(f"{where} holds {held}: say which, such as --params={choice(venue, timeframe)}")
    ((venue, timeframe),) = markets
    return {
        **universe,
        "venue": venue,
        "timeframe": timeframe,
        "symbols": list(symbols or dict.fromkeys(key.symbol for key in fitting)),
    }


def choice(venue: str, timeframe: str) -> str:
    """What `--params` says to choose one venue and one bar."""
    return f"universe.venue={venue},universe.timeframe={timeframe}"


def run_command(imported: Sequence[BarKey], held: Sequence[BarKey], env: str, week_start: str = "mon") -> str:
    """The command that runs on what was just imported.

    Args:
        imported: keys that an import wrote.
        held: all that the store now has.
        env: Kedro environment.
        week_start: the day on which weekly bars among them open.

    Returns:
        One line for a shell.
    """
    several = len({(key.venue, key.timeframe) for key in held}) > 1
    chosen = [choice(imported[0].venue, imported[0].timeframe)] if several else []
    chosen += [f"universe.week_start={week_start}"] if week_start != "mon" else []
    return f"kedro run --env {env}" + (f" --params={','.join(chosen)}" if chosen else "")
