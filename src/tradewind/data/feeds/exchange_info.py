"""What a venue of Binance's protocol says of its symbols (`exchangeInfo`): steps and smallest orders."""

from collections.abc import Mapping, Sequence
from typing import Any

from tradewind.errors import BadData


def instruments_of(info: Mapping[str, Any], symbols: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Steps and limits of symbols, by the names of `risk.limits.Instrument`.

    Args:
        info: the venue's answer to `exchangeInfo`.
        symbols: None: all that it trades.

    Raises:
        BadData: the venue does not trade one of them.
    """
    listed = {one["symbol"]: one for one in info["symbols"] if one.get("status") == "TRADING"}
    out = {}
    for symbol in listed if symbols is None else symbols:
        if symbol not in listed:
            raise BadData(f"the venue does not trade {symbol}: choose another symbol")
        rules = {one["filterType"]: one for one in listed[symbol]["filters"]}
        lots = rules["LOT_SIZE"]
        out[symbol] = {
            "tick_size": float(rules["PRICE_FILTER"]["tickSize"]), "lot_size": float(lots["stepSize"]),
            "min_quantity": float(lots["minQty"]), "max_quantity": float(lots["maxQty"]),
            "min_notional": float(rules.get("NOTIONAL", rules.get("MIN_NOTIONAL", {})).get("minNotional", 0)),
        }  # fmt: skip
    return out
