"""What pairs and venues of files are called here: two pairs never get one name."""

import re
from collections.abc import Callable, Iterable

from tradewind.errors import BadData

# What a venue or a symbol may be called: it names files.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$"

# The longer come first: of the two readings of a name without a mark it is that with the longer quote that is taken.
QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB", "DAI",
    "AED", "ARS", "AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "HKD", "HUF", "IDR", "ILS", "INR", "KRW",
    "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "VND", "ZAR",
)  # fmt: skip
_MARKS = re.compile(r"[/: ]+")


def split_pair(name: str) -> tuple[str, str] | None:
    """Base and quote of a name such as BTCUSDT or USDT-USD, in its own letters; None where it ends with no known quote.

    Args:
        name: of a pair, without slashes and colons.
    """
    base, mark, quote = name.rpartition("-")
    if mark:
        return (base, quote) if base and quote.upper() in QUOTES else None
    return next(iter(_readings(name)), None)


def usable_name(text: str) -> str:
    """The name of a symbol without slashes, colons and spaces; empty if it could name no file.

    A mark is left out where the pair can be told from what remains (`BTC/USDT` is BTCUSDT), and is a hyphen otherwise
    (`USDT/USD` is USDT-USD and `USD/TUSD` is USD-TUSD, both of which were USDTUSD without it): so no two pairs get one
    name. What a file writes without a mark stays as it is.

    Args:
        text: as a file spells it.
    """
    parts = [part for part in _MARKS.split(text) if part]
    plain = "".join(parts)
    name = plain if len(parts) == 1 or _is_unambiguous(plain, parts) else "-".join(parts)
    return name if re.fullmatch(NAME, name) else ""


def usable_venue(text: str) -> str:
    """The name of a venue without slashes, colons and spaces; empty if it could name no file."""
    plain = _MARKS.sub("", text)
    return plain if re.fullmatch(NAME, plain) else ""


def require_one_spelling(
    texts: Iterable[str], name_of: Callable[[str], str], where: str, kind: str = "symbol"
) -> dict[str, str]:
    """The name of each text, where no two texts have one name.

    Args:
        texts: as the file at `where` spells them.
        name_of: gives the name of one, empty if it has none.
        where: for the message.
        kind: what they name, for the message.

    Raises:
        BadData: two have; the message names both.
    """
    names: dict[str, str] = {}
    first: dict[str, str] = {}
    for text in sorted(set(texts)):
        name = names[text] = name_of(text)
        other = first.setdefault(name, text) if name else text
        if other != text:
            raise BadData(
                f"{where}: the {kind}s {other!r} and {text!r} would both be named {name}, and the rows of one replace "
                "the other's: spell them in one way if they are the same, else import each from a file of its own "
                "under a name that you choose"
            )
    return names


def _is_unambiguous(plain: str, parts: list[str]) -> bool:
    """Whether what remains without the mark is read as these parts, and not as well as a pair of two currencies."""
    readings = _readings(plain)
    return (
        len(parts) == 2
        and readings[:1] == [(parts[0], parts[1])]
        and not any(base.upper() in QUOTES for base, _ in readings[1:])
    )


def _readings(name: str) -> list[tuple[str, str]]:
    """All pairs with a known quote that a name without a mark may be, that with the longest quote first."""
    ends = sorted((quote for quote in QUOTES if name.upper().endswith(quote) and len(name) > len(quote)), key=len)
    return [(name[: -len(quote)], name[-len(quote) :]) for quote in reversed(ends)]
