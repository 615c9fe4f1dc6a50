"""Parameters that count bars, given as durations: `4d in bars, at least 5, at most 24`.

So the defaults fit every timeframe: what is counted in bars follows the bar, within bounds that keep it meaningful.
"""

import re
from collections.abc import Mapping
from typing import Any

from tradewind.errors import BadParameters
from tradewind.market.timeframes import bar_duration

_TEXT = re.compile(r"\s*([1-9][0-9]{0,3}[mhdw]) in bars(?:, at least ([0-9]+))?(?:, at most ([0-9]+))?\s*")


def bars_in(text: str, timeframe: str) -> int:
    """How many bars of `timeframe` a text such as `4d in bars, at least 5, at most 24` stands for.

    Raises:
        BadParameters: the text says something else, or its bounds contradict each other.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise BadParameters(
            f"a number of bars is a whole number or such as '4d in bars, at least 5, at most 24', found {text!r}"
        )
    least, most = int(found[2] or 0), int(found[3] or 10**9)
    if least > most:
        raise BadParameters(f"{text!r}: at least {least} and at most {most} cannot both be")
    return min(max(round(bar_duration(found[1]) / bar_duration(timeframe)), least, 1 if least else 0), most)


def with_bar_counts(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with every duration in bars counted for `universe.timeframe`.

    As they are where the timeframe is not known yet (a store is to tell it) or is none, which its own block refuses.

    Raises:
        BadParameters: a text that looks like a number of bars and is none; the message has the parameter's path.
    """
    universe = parameters.get("universe")
    timeframe = universe.get("timeframe") if isinstance(universe, Mapping) else None
    if not isinstance(timeframe, str):
        return dict(parameters)
    try:
        bar_duration(timeframe)
    except BadParameters as error:
        raise BadParameters(f"universe.timeframe: {error}") from error
    return {name: _counted(value, timeframe, str(name)) for name, value in parameters.items()}


def _counted(value: Any, timeframe: str, path: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _counted(inner, timeframe, f"{path}.{name}") for name, inner in value.items()}
    if isinstance(value, list):
        return [_counted(inner, timeframe, f"{path}[{at}]") for at, inner in enumerate(value)]
    if isinstance(value, str) and " in bars" in value:
        try:
            return bars_in(value, timeframe)
        except BadParameters as error:
            raise BadParameters(f"{path}: {error}") from error
    return value
