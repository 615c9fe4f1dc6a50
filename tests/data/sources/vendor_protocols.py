"""What the local server answers as an archive or a vendor, in the shapes that the documentation of each has."""

import gzip
import io
import zipfile
from hashlib import sha256
from typing import Any

import pandas as pd

from tests.data.sources.exchange_protocols import PRICE_SCALE, klines
from tests.data.sources.exchange_server import HOUR_MS, Asked, ExchangeServer, Fault, Reply, as_json
from tradewind.data.files.deliveries import Span
from tradewind.market.timeframes import bar_duration_ms

NOT_FOUND = Reply(b"not found", 404, {"Content-Type": "text/plain"})


# Binance public archive: https://github.com/binance/binance-public-data


def archive(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    is_checksum = asked.path.endswith(".CHECKSUM")
    path = asked.path.removesuffix(".CHECKSUM")
    packed = archive_file(server, path, fault)
    if packed is None:
        return NOT_FOUND
    if is_checksum:
        digest = sha256(packed).hexdigest()
        if fault is not None and fault.kind == "checksum":
            digest = "0" * 64
        return Reply(f"{digest}  {path.rsplit('/', 1)[1]}\n".encode(), 200, {"Content-Type": "text/plain"})
    return Reply(packed, 200, {"Content-Type": "application/zip"})


HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def archive_file(server: ExchangeServer, path: str, fault: Fault | None = None) -> bytes | None:
    """The ZIP at this path, None where the archive has none (yet): months appear once they are over, days next day."""
    market, _, rest = path.removeprefix("/data/").partition("/monthly/" if "/monthly/" in path else "/daily/")
    kind, symbol, *_, name = rest.split("/")
    is_monthly = "/monthly/" in path
    day = name.removesuffix(".zip").removeprefix(f"{symbol}-").split("-", 1)[1]
    first = pd.Timestamp(f"{day}-01" if is_monthly else day, tz="UTC")
    after = first + (pd.offsets.MonthBegin() if is_monthly else pd.Timedelta(days=1))
    span = Span(int(first.timestamp() * 1000), int(after.timestamp() * 1000))
    is_kept = (kind != "metrics") if is_monthly else (kind != "fundingRate")
    if symbol not in server.market.symbols or span.until_ms > server.market.now_ms or not is_kept:
        return None
    if path in server.absent:
        return None
    if kind == "fundingRate":
        rates = server.market.funding(symbol, span)
        lines = ["calc_time,funding_interval_hours,last_funding_rate"]
        lines += [f"{at},8,{value:.8f}" for at, value in zip(rates["at"], rates["value"], strict=True)]
    elif kind == "metrics":
        shifted = Span(span.since_ms + 300_000, span.until_ms + 300_000)
        rows = server.market.open_interest(symbol, "5m", shifted)
        lines = ["create_time,symbol,sum_open_interest,sum_open_interest_value,a,b,c,d"]
        times = pd.to_datetime(rows["at"], unit="ms").dt.strftime("%Y-%m-%d %H:%M:%S")
        lines += [f"{at},{symbol},{value:.3f},1.0,1,1,1,1" for at, value in zip(times, rows["value"], strict=True)]
    else:
        interval = name.split("-")[1]
        bars = server.page(path, server.market.bars(symbol, interval, span, PRICE_SCALE.get(kind, 1.0)), fault)
        if bars.empty:
            return None
        unit = 1000 if market == "spot" and first >= pd.Timestamp("2025-01-01", tz="UTC") else 1
        lines = [] if market == "spot" else [HEADER]
        lines += [",".join(map(str, row)) for row in klines(bars, interval, unit)]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name.replace(".zip", ".csv"), (2024, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        content = "\n".join(lines) + "\n"
        archive.writestr(entry, content if fault is None or fault.kind != "bomb" else "0" * (3 << 20))
    return packed.getvalue()


# CoinAPI: https://docs.coinapi.io/market-data/rest-api/ohlcv, header X-CoinAPI-Key


def coinapi(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    if server.keys and asked.headers.get("x-coinapi-key") not in server.keys:
        return as_json({"error": f"Invalid API key {asked.headers.get('x-coinapi-key')}"}, 401)
    name = asked.path.split("/")[3]
    symbol = "".join(name.split("_")[2:])
    if symbol not in server.market.symbols:
        return as_json({"error": f"No data for symbol {name}"}, 550)
    count, unit = int(asked.query["period_id"][:-3]), asked.query["period_id"][-3:]
    timeframe = f"{count}{ {'MIN': 'm', 'HRS': 'h', 'DAY': 'd'}[unit] }"
    since, until = (int(pd.Timestamp(asked.query[name]).timestamp() * 1000) for name in ("time_start", "time_end"))
    bars = server.market.bars(symbol, timeframe, Span(since, until)).head(int(asked.query.get("limit", 100)))
    step = bar_duration_ms(timeframe)
    rows = [
        {"time_period_start": _seven_digits(int(b.open_time)),
         "time_period_end": _seven_digits(int(b.open_time) + step),
         "time_open": _seven_digits(int(b.open_time)), "time_close": _seven_digits(int(b.open_time) + step - 1),
         "price_open": b.open, "price_high": b.high, "price_low": b.low, "price_close": b.close,
         "volume_traded": b.volume, "trades_count": int(b.trades)}
        for b in server.page(asked.path, bars, fault).itertuples()
    ]  # fmt: skip
    limits = {"X-RateLimit-Limit": "1000000", "X-RateLimit-Remaining": "999989", "X-RateLimit-Request-Cost": "1"}
    return as_json(rows, 200, **limits)


def _seven_digits(epoch_ms: int) -> str:
    return pd.Timestamp(epoch_ms, unit="ms").strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


# Kaiko: https://docs.kaiko.com, Level 1 aggregations, header X-Api-Key; later pages by continuation_token alone


def kaiko(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    if server.keys and asked.headers.get("x-api-key") not in server.keys:
        return as_json({"result": "error", "message": f"invalid key {asked.headers.get('x-api-key')}"}, 403)
    parts = asked.path.split("/")
    symbol, aggregation = parts[7].replace("-", "").upper(), parts[9]
    if symbol not in server.market.symbols:
        return as_json({"result": "error", "message": "instrument not found"}, 404)
    query = asked.query
    if "continuation_token" in query:
        query = dict(pair.split("~") for pair in query["continuation_token"].split("*"))
    since, until = (int(pd.Timestamp(query[name]).timestamp() * 1000) for name in ("start_time", "end_time"))
    step, size = bar_duration_ms(query["interval"]), int(query["page_size"])
    bars = server.market.bars(symbol, query["interval"], Span(since, until))
    grid = range(-(-since // step) * step, min(until, server.market.now_ms + 1), step)
    page = server.page(asked.path, bars.loc[bars["open_time"] < since + size * step], fault)
    rows = [
        {"timestamp": int(b.open_time), "open": f"{b.open}", "high": f"{b.high}", "low": f"{b.low}",
         "close": f"{b.close}", "volume": f"{b.volume}"} | ({"count": int(b.trades)} if "count" in aggregation else {})
        for b in page.itertuples()
    ]  # fmt: skip
    known = set(bars["open_time"])
    untraded = [at for at in grid[:size] if at not in known and at >= server.market.since_ms]
    rows += [
        {"timestamp": at, "open": None, "high": None, "low": None, "close": None, "volume": "0"} for at in untraded
    ]
    reply: dict[str, Any] = {"query": {"page_size": size}, "result": "success", "data": rows}
    if fault is None or fault.kind != "reversed":
        rows.sort(key=lambda row: row["timestamp"])
    if since + size * step < until and len(grid) > size:
        following = query | {"start_time": pd.Timestamp(since + size * step, unit="ms").isoformat() + "Z"}
        token = "*".join(f"{name}~{value}" for name, value in following.items())
        host = "http://elsewhere.invalid" if fault is not None and fault.kind == "next_url" else server.url
        reply |= {"continuation_token": token, "next_url": f"{host}{asked.path}?continuation_token={token}"}
        if fault is not None and fault.kind == "next_url":
            del reply["continuation_token"]
    return as_json(reply)


# Tardis.dev: https://docs.tardis.dev/downloadable-csv-files, files split by the time of arrival, 800 ms after the trade


def tardis(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    if server.keys and asked.headers.get("authorization", "").removeprefix("Bearer ") not in server.keys:
        return as_json({"code": 101, "message": f"Invalid API key {asked.headers.get('authorization')}"}, 401)
    _, _, exchange, kind, year, month, day, name = asked.path.split("/")
    symbol = name.removesuffix(".csv.gz")
    begun = int(pd.Timestamp(f"{year}-{month}-{day}", tz="UTC").timestamp() * 1000)
    if (
        symbol not in server.market.symbols
        or begun + 30 * HOUR_MS > server.market.now_ms
        or asked.path in server.absent
    ):
        return as_json({"code": 404, "message": "no such dataset"}, 404)
    near = Span(begun - 2 * HOUR_MS, begun + 26 * HOUR_MS)
    if kind == "trades":
        text = _trades_csv(server, exchange, symbol, near, begun)
    else:
        text = _tickers_csv(server, exchange, symbol, begun)
    packed = gzip.compress(text.encode() if text.count("\n") > 1 else b"", 1)
    if fault is not None and fault.kind == "torn_file":
        packed = packed[: len(packed) // 2]
    return Reply(packed, 200, {"Content-Type": "application/gzip"})


def _trades_csv(server: ExchangeServer, exchange: str, symbol: str, near: Span, begun: int) -> str:
    trades = server.market.trades(symbol, near)
    seen = trades["at"] + 800_000
    is_inside = (seen >= begun * 1000) & (seen < (begun + 24 * HOUR_MS) * 1000)
    lines = ["exchange,symbol,timestamp,local_timestamp,id,side,price,amount"]
    lines += [
        f"{exchange},{symbol},{t.at},{t.at + 800_000},{t.Index},{t.side},{t.price},{t.amount}"
        for t in trades.loc[is_inside].itertuples()
    ]
    return "\n".join(lines) + "\n"


def _tickers_csv(server: ExchangeServer, exchange: str, symbol: str, begun: int) -> str:
    lines = [
        "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
        "last_price,index_price,mark_price"
    ]
    day = Span(begun, begun + 24 * HOUR_MS)
    interest = server.market.open_interest(symbol, "1h", Span(begun + HOUR_MS, begun + 25 * HOUR_MS))
    following = server.market.funding(symbol, Span(begun, begun + 40 * HOUR_MS))
    closes = server.market.bars(symbol, "1h", day).set_index("open_time")["close"]
    for opened in range(day.since_ms, day.until_ms, HOUR_MS):
        at, close = (opened + HOUR_MS) * 1000 - 1_000_000, closes.get(opened)
        settles = following.loc[following["at"] > opened].iloc[0]
        held = interest.loc[interest["at"] == opened + HOUR_MS, "value"]
        prices = "," if close is None else f"{close:.4f},{close * 1.001:.4f}"
        lines.append(
            f"{exchange},{symbol},{at - 3000},{at},{int(settles['at']) * 1000},{settles['value']:.8f},,"
            f"{held.iloc[0] if len(held) else ''},,{prices}"
        )
    return "\n".join(lines) + "\n"
