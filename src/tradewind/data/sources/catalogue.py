"""Which sources there are, by the name that configuration calls them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from tradewind.data.sources.base import Source
from tradewind.data.sources.timing import Timing
from tradewind.errors import BadParameters
from tradewind.parameters import faults

# A module, which has `Rules`, its settings as a pydantic model, and the class named here, which takes them.
SOURCES = {
    "ccxt": ("ccxt_exchange", "CcxtSource"),
    "binance_archive": ("binance_archive", "BinanceArchiveSource"),
    "tardis": ("tardis", "TardisSource"),
    "coinapi": ("coinapi", "CoinApiSource"),
    "kaiko": ("kaiko", "KaikoSource"),
}
_EXTRA = frozenset({"ccxt", "httpx", "requests"})


def open_source(settings: Mapping[str, Any], timing: Timing | None = None) -> Source:
    """The source that `settings` describe: `kind` and what its `Rules` ask for.

    Args:
        settings: from configuration; keys from credentials.
        timing: how time passes for it (default: as it does).

    Raises:
        BadParameters: an unknown kind or setting, or the extra that sources need is not installed.
    """
    kind = settings.get("kind")
    if kind not in SOURCES:
        raise BadParameters(f"source.kind must be one of {sorted(SOURCES)}, found {kind!r}")
    name, taken = SOURCES[kind]
    try:
        module = import_module(f"tradewind.data.sources.{name}")
        rules = module.Rules(**{name: value for name, value in settings.items() if name != "kind"})
        source: Source = getattr(module, taken)(rules, timing or Timing())
    except ValidationError as error:
        raise BadParameters(f"source {kind}: {faults(error, show_values=False)}") from None
    except ImportError as error:
        if error.name not in _EXTRA:
            raise
        raise BadParameters(f"source {kind}: install the extra first, pip install 'tradewind[exchanges]'") from error
    return source
