"""What the local server answers as an exchange, in the shapes that the documentation of each has."""

from typing import Any

import pandas as pd

from tests.data.sources.exchange_server import Asked, ExchangeServer, Fault, Reply, as_json
from tradewind.data.files.deliveries import Span
from tradewind.market.timeframes import bar_duration_ms

PRICE_SCALE = {
    "markPriceKlines": 1.001,
    "premiumIndexKlines": 0.0001,
    "mark-price-kline": 1.001,
    "mark-price-candles": 1.001,
    "history-mark-price-candles": 1.001,
    "premium-index-price-kline": 0.0001,
}

# Binance REST: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
# and .../derivatives/usds-margined-futures/market-data/rest-api


def binance(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    what = asked.path.rsplit("/", 1)[1]
    is_futures = asked.path.startswith("/fapi")
    if asked.path.startswith("/dapi"):
        if what == "exchangeInfo":
            return as_json({"timezone": "UTC", "symbols": [_coin_margined(s) for s in server.market.symbols]})
        asked.query["symbol"] = asked.query["symbol"].replace("USD_PERP", "USDT")
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
    scale = PRICE_SCALE.get(what, 1.0)
    interval = asked.query["interval"]
    bars = server.market.bars(symbol, interval, _binance_span(asked), scale)
    page = bars.head(int(asked.query.get("limit", 500)))
    return as_json(klines(server.page(asked.path, page, fault), interval))


def _binance_span(asked: Asked) -> Span:
    since = int(asked.query.get("startTime", 0))
    return Span(since, max(int(asked.query.get("endTime", 2**52)) + 1, since + 1))


def klines(bars: pd.DataFrame, interval: str, unit: int = 1) -> list[list[Any]]:
    step = bar_duration_ms(interval)
    return [
        [
            int(bar.open_time) * unit, f"{bar.open:.8f}", f"{bar.high:.8f}", f"{bar.low:.8f}", f"{bar.close:.8f}",
            f"{bar.volume:.8f}", (int(bar.open_time) + step) * unit - 1, f"{bar.quote_volume:.8f}", int(bar.trades),
            f"{bar.volume / 2:.8f}", f"{bar.quote_volume / 2:.8f}", "0",
        ]
        for bar in bars.itertuples()
    ]  # fmt: skip


def _coin_margined(symbol: str) -> dict[str, Any]:
    base = symbol[:-4]
    return _binance_symbol(symbol, is_futures=True) | {
        "symbol": f"{base}USD_PERP", "pair": f"{base}USD", "quoteAsset": "USD", "marginAsset": base,
        "contractStatus": "TRADING", "contractSize": 100,
    }  # fmt: skip


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


# OKX: https://www.okx.com/docs-v5/en, Get instruments, Get candlesticks history, Get funding rate history: newest first


def okx(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    what, query = asked.path.rsplit("/", 1)[1], asked.query
    if what == "instruments":
        rows = [_okx_instrument(symbol, query["instType"]) for symbol in server.market.symbols]
        return as_json({"code": "0", "msg": "", "data": rows})
    symbol = query["instId"].removesuffix("-SWAP").replace("-", "")
    if symbol not in server.market.symbols:
        return as_json({"code": "51001", "msg": "Instrument ID does not exist", "data": []})
    # `before` and `after` name times that the rows are newer and older than.
    span = Span(int(query.get("before", 0)) + 1, int(query.get("after", 2**52)))
    limit = int(query.get("limit", 100))
    if what == "funding-rate-history":
        rates = server.market.funding(symbol, span).iloc[::-1].head(limit)
        rows = [
            {"instType": "SWAP", "instId": query["instId"], "fundingRate": f"{value:.8f}",
             "realizedRate": f"{value:.8f}", "fundingTime": str(at)}
            for at, value in zip(rates["at"], rates["value"], strict=True)
        ]  # fmt: skip
        return as_json({"code": "0", "msg": "", "data": rows})
    bars = (
        server.market.bars(symbol, query["bar"].removesuffix("utc").lower(), span, PRICE_SCALE.get(what, 1.0))
        .iloc[::-1]
        .head(limit)
    )
    rows = [
        [str(int(b.open_time)), f"{b.open}", f"{b.high}", f"{b.low}", f"{b.close}", f"{b.volume}", f"{b.volume}",
         f"{b.quote_volume}", "1"]
        for b in server.page(asked.path, bars, fault).itertuples()
    ]  # fmt: skip
    return as_json({"code": "0", "msg": "", "data": rows})


def _okx_instrument(symbol: str, kind: str) -> dict[str, Any]:
    base, quote = symbol[:-4], symbol[-4:]
    shared = {"instType": kind, "lotSz": "0.0001", "minSz": "0.0001", "tickSz": "0.1", "state": "live", "alias": "",
              "category": "1", "lever": "10", "listTime": "1548133413000", "maxLmtSz": "1000"}  # fmt: skip
    if kind == "SPOT":
        return shared | {"instId": f"{base}-{quote}", "baseCcy": base, "quoteCcy": quote, "settleCcy": "", "uly": ""}
    return shared | {
        "instId": f"{base}-{quote}-SWAP", "baseCcy": "", "quoteCcy": "", "settleCcy": quote, "uly": f"{base}-{quote}",
        "instFamily": f"{base}-{quote}", "ctType": "linear", "ctVal": "0.01", "ctValCcy": base, "ctMult": "1",
    }  # fmt: skip


# Bybit: https://bybit-exchange.github.io/docs/v5/market/instrument, .../kline, .../history-fund-rate: newest first


def bybit(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    what, query = asked.path.removeprefix("/v5/market/"), asked.query
    if what == "instruments-info":
        rows = [_bybit_instrument(s) for s in server.market.symbols] if query["category"] != "inverse" else []
        return _bybit_reply({"category": query["category"], "list": rows, "nextPageCursor": ""})
    symbol = query["symbol"]
    if symbol not in server.market.symbols:
        return as_json({"retCode": 10001, "retMsg": "params error: Symbol Invalid", "result": {}, "time": 0})
    limit = int(query.get("limit", 200))
    if what == "funding/history":
        span = Span(int(query["startTime"]), int(query["endTime"]) + 1)
        rates = server.market.funding(symbol, span).iloc[::-1].head(limit)
        rows = [
            {"symbol": symbol, "fundingRate": f"{value:.8f}", "fundingRateTimestamp": str(at)}
            for at, value in zip(rates["at"], rates["value"], strict=True)
        ]
        return _bybit_reply({"category": "linear", "list": rows})
    span = Span(int(query["start"]), int(query.get("end", 2**52)) + 1)
    minutes = {"D": "1d", "W": "1w"}.get(query["interval"]) or _minutes(int(query["interval"]))
    bars = server.market.bars(symbol, minutes, span, PRICE_SCALE.get(what, 1.0)).iloc[::-1].head(limit)
    rows = [
        [str(int(b.open_time)), *(f"{v}" for v in (b.open, b.high, b.low, b.close, b.volume, b.quote_volume))]
        for b in server.page(asked.path, bars, fault).itertuples()
    ]
    return _bybit_reply({"symbol": symbol, "category": query["category"], "list": rows})


def _bybit_reply(result: dict[str, Any]) -> Reply:
    return as_json({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1672025956592})


def _bybit_instrument(symbol: str) -> dict[str, Any]:
    return {
        "symbol": symbol, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": symbol[:-4],
        "quoteCoin": symbol[-4:], "settleCoin": symbol[-4:], "launchTime": "1585526400000", "deliveryTime": "0",
        "deliveryFeeRate": "", "priceScale": "2", "fundingInterval": 480, "unifiedMarginTrade": True,
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.50", "maxPrice": "999999.00", "tickSize": "0.10"},
        "lotSizeFilter": {"basePrecision": "0.001", "quotePrecision": "0.001", "minOrderQty": "0.001",
                          "maxOrderQty": "100", "qtyStep": "0.001", "minOrderAmt": "1", "maxOrderAmt": "100000"},
    }  # fmt: skip


def _minutes(count: int) -> str:
    return f"{count // 60}h" if count % 60 == 0 else f"{count}m"


# Kraken: https://docs.kraken.com/api/docs/rest-api/get-ohlc-data: the last 720 bars, whatever is asked for


def kraken(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    if asked.path.endswith("AssetPairs"):
        return as_json({"error": [], "result": {symbol: _kraken_pair(symbol) for symbol in server.market.symbols}})
    symbol, interval = asked.query["pair"], _minutes(int(asked.query.get("interval", 1)))
    if symbol not in server.market.symbols:
        return as_json({"error": ["EQuery:Unknown asset pair"]})
    step = bar_duration_ms(interval)
    newest = server.market.now_ms // step * step
    kept = server.market.bars(symbol, interval, Span(newest - 719 * step, newest + 1))
    bars = kept.loc[kept["open_time"] > int(asked.query.get("since", 0)) * 1000]
    rows = [
        [
            int(b.open_time) // 1000,
            f"{b.open}",
            f"{b.high}",
            f"{b.low}",
            f"{b.close}",
            "0.0",
            f"{b.volume}",
            int(b.trades),
        ]
        for b in server.page(asked.path, bars, fault).itertuples()
    ]
    return as_json({"error": [], "result": {symbol: rows, "last": newest // 1000}})


def _kraken_pair(symbol: str) -> dict[str, Any]:
    base, quote = symbol[:-4], symbol[-4:]
    return {
        "altname": symbol, "wsname": f"{base}/{quote}", "aclass_base": "currency", "base": base,
        "aclass_quote": "currency", "quote": quote, "lot": "unit", "pair_decimals": 1, "lot_decimals": 8,
        "cost_decimals": 5, "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [], "fees": [[0, 0.26]],
        "fees_maker": [[0, 0.16]], "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40,
        "ordermin": "0.0001", "costmin": "0.5", "tick_size": "0.1", "status": "online",
    }  # fmt: skip


# Coinbase: https://docs.cdp.coinbase.com, Advanced Trade, Get Public Product Candles: newest first, both ends count


def coinbase(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    if not asked.path.endswith("/candles"):
        is_spot = asked.query.get("product_type", "SPOT") == "SPOT"
        products = [_coinbase_product(symbol) for symbol in server.market.symbols] if is_spot else []
        return as_json({"products": products, "num_products": len(products)})
    symbol = asked.path.split("/")[-2].replace("-", "")
    if symbol not in server.market.symbols:
        return as_json({"error": "NOT_FOUND", "error_details": "product not found"}, 404)
    timeframe = {"ONE_MINUTE": "1m", "ONE_HOUR": "1h", "ONE_DAY": "1d"}[asked.query["granularity"]]
    span = Span(int(asked.query["start"]) * 1000, int(asked.query["end"]) * 1000 + 1)
    bars = server.market.bars(symbol, timeframe, span).iloc[::-1].head(350)
    rows = [
        {"start": str(int(b.open_time) // 1000), "low": f"{b.low}", "high": f"{b.high}", "open": f"{b.open}",
         "close": f"{b.close}", "volume": f"{b.volume}"}
        for b in server.page(asked.path, bars, fault).itertuples()
    ]  # fmt: skip
    return as_json({"candles": rows})


def _coinbase_product(symbol: str) -> dict[str, Any]:
    base, quote = symbol[:-4], symbol[-4:]
    return {
        "product_id": f"{base}-{quote}", "price": "1", "base_increment": "0.00000001", "quote_increment": "0.01",
        "quote_min_size": "1", "quote_max_size": "150000000", "base_min_size": "0.00000001", "base_max_size": "3400",
        "status": "online", "trading_disabled": False, "product_type": "SPOT", "base_currency_id": base,
        "quote_currency_id": quote, "price_increment": "0.01", "is_disabled": False,
    }  # fmt: skip
