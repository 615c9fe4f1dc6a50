"""What the local server answers, protocol by protocol, in the shapes that the documentation of each has."""

import io
import zipfile
from hashlib import sha256
from typing import Any

import pandas as pd

from tests.market.sources.exchange_server import Asked, ExchangeServer, Fault, Reply, as_json
from tradewind.market.deliveries import Span
from tradewind.market.timeframes import bar_duration_ms

NOT_FOUND = Reply(b"not found", 404, {"Content-Type": "text/plain"})


def answer(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    """The reply of whichever protocol the path belongs to."""
    for prefix, protocol in PROTOCOLS.items():
        if asked.path.startswith(prefix):
            return protocol(server, asked, fault)
    return NOT_FOUND


# Binance REST: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
# and .../derivatives/usds-margined-futures/market-data/rest-api


def _binance(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    what = asked.path.rsplit("/", 1)[1]
    is_futures = asked.path.startswith("/fapi")
    if what == "exchangeInfo":
        return as_json({"timezone": "UTC", "symbols": [_binance_symbol(s, is_futures) for s in server.market.symbols]})
    symbol = asked.query.get("symbol") or asked.query.get("pair") or ""
    if symbol not in server.market.symbols:
        return as_json({"code": -1121, "msg": "Invalid symbol."}, 400)
    if what == "fundingRate":
        rates = server.market.funding(symbol, _binance_span(asked)).head(int(asked.query.get("limit", 100)))
        return as_json(
            [
                {"symbol": symbol, "fundingRate": f"{value:.8f}", "fundingTime": int(at), "markPrice": "1.0"}
                for at, value in zip(rates["at"], rates["value"], strict=True)
            ]
        )
    if what == "openInterestHist":
        rows = server.market.open_interest(symbol, asked.query["period"], _binance_span(asked))
        rows = rows.head(int(asked.query.get("limit", 30)))
        shared = {"symbol": symbol, "sumOpenInterestValue": "1.0"}
        return as_json(
            [
                shared | {"sumOpenInterest": f"{value:.3f}", "timestamp": int(at)}
                for at, value in zip(rows["at"], rows["value"], strict=True)
            ]
        )
    scale = {"markPriceKlines": 1.001, "premiumIndexKlines": 0.0001}.get(what, 1.0)
    interval = asked.query["interval"]
    bars = server.market.bars(symbol, interval, _binance_span(asked), scale)
    page = bars.head(int(asked.query.get("limit", 500)))
    return as_json(_klines(server.page(asked.path, page, fault), interval))


def _binance_span(asked: Asked) -> Span:
    since = int(asked.query.get("startTime", 0))
    return Span(since, max(int(asked.query.get("endTime", 2**52)) + 1, since + 1))


def _klines(bars: pd.DataFrame, interval: str, unit: int = 1) -> list[list[Any]]:
    step = bar_duration_ms(interval)
    return [
        [
            int(bar.open_time) * unit, f"{bar.open:.8f}", f"{bar.high:.8f}", f"{bar.low:.8f}", f"{bar.close:.8f}",
            f"{bar.volume:.8f}", (int(bar.open_time) + step) * unit - 1, f"{bar.quote_volume:.8f}", int(bar.trades),
            f"{bar.volume / 2:.8f}", f"{bar.quote_volume / 2:.8f}", "0",
        ]
        for bar in bars.itertuples()
    ]  # fmt: skip


def _binance_symbol(symbol: str, is_futures: bool) -> dict[str, Any]:
    base, quote = symbol[:-4], symbol[-4:]
    shared = {
        "symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "quotePrecision": 8,
        "baseAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "9000", "stepSize": "0.001"},
        ],
    }  # fmt: skip
    if is_futures:
        return shared | {
            "pair": symbol, "contractType": "PERPETUAL", "marginAsset": quote, "pricePrecision": 2,
            "quantityPrecision": 3, "onboardDate": 1569398400000, "deliveryDate": 4133404800000,
        }  # fmt: skip
    return shared | {
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
    }  # fmt: skip


# Binance public archive: https://github.com/binance/binance-public-data


def _archive(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    is_checksum = asked.path.endswith(".CHECKSUM")
    path = asked.path.removesuffix(".CHECKSUM")
    packed = archive_file(server, path, None if is_checksum else fault)
    if packed is None:
        return NOT_FOUND
    if is_checksum:
        digest = sha256(packed).hexdigest()
        if fault is not None and fault.kind == "checksum":
            digest = "0" * 64
        return Reply(f"{digest}  {path.rsplit('/', 1)[1]}\n".encode(), 200, {"Content-Type": "text/plain"})
    return Reply(packed, 200, {"Content-Type": "application/zip"})


def archive_file(server: ExchangeServer, path: str, fault: Fault | None = None) -> bytes | None:
    """The ZIP at this path, None where the archive has none (yet): months appear once they are over, days next day."""
    parts = path.split("/")[2:]
    kind = "spot" if parts[0] == "spot" else f"futures/{parts[1]}"
    *_, symbol, _, name = ["", *parts] if "fundingRate" not in parts else ["", *parts[:-1], "", parts[-1]]
    if symbol not in server.market.symbols:
        return None
    is_funding, is_monthly = "fundingRate" in parts, "monthly" in parts
    day = name.removesuffix(".zip").split("-", 2)[2]
    first = pd.Timestamp(f"{day}-01" if is_monthly else day, tz="UTC")
    after = first + (pd.offsets.MonthBegin() if is_monthly else pd.Timedelta(days=1))
    span = Span(int(first.timestamp() * 1000), int(after.timestamp() * 1000))
    if after.timestamp() * 1000 > server.market.now_ms or (is_funding and not is_monthly):
        return None
    if is_funding:
        rates = server.market.funding(symbol, span)
        lines = ["calc_time,funding_interval_hours,last_funding_rate"]
        lines += [f"{at},8,{value:.8f}" for at, value in zip(rates["at"], rates["value"], strict=True)]
    else:
        interval = name.split("-")[1]
        bars = server.page(path, server.market.bars(symbol, interval, span), fault)
        if bars.empty:
            return None
        unit = 1000 if kind == "spot" and first >= pd.Timestamp("2025-01-01", tz="UTC") else 1
        lines = [",".join(map(str, row)) for row in _klines(bars, interval, unit)]
        if kind != "spot":
            lines.insert(0, "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
                            "taker_buy_quote_volume,ignore")  # fmt: skip
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name.replace(".zip", ".csv"), (2024, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, "\n".join(lines) + "\n")
    return packed.getvalue()


PROTOCOLS = {
    "/api/v3/": _binance,
    "/fapi/": _binance,
    "/futures/data/": _binance,
    "/dapi/v1/exchangeInfo": lambda *_: as_json({"symbols": []}),
    "/data/": _archive,
}
