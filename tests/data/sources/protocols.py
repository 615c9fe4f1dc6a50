"""Which protocol a path belongs to."""

from tests.data.sources import exchange_protocols as exchange
from tests.data.sources import vendor_protocols as vendor
from tests.data.sources.exchange_server import Asked, ExchangeServer, Fault, Reply


def answer(server: ExchangeServer, asked: Asked, fault: Fault | None) -> Reply:
    """The reply of that protocol."""
    for prefix, protocol in PROTOCOLS.items():
        if asked.path.startswith(prefix):
            return protocol(server, asked, fault)
    return vendor.NOT_FOUND


PROTOCOLS = {
    "/api/v3/brokerage/market/products": exchange.coinbase,
    "/api/v3/": exchange.binance,
    "/fapi/": exchange.binance,
    "/futures/data/": exchange.binance,
    "/dapi/": exchange.binance,
    "/data/": vendor.archive,
    "/api/v5/": exchange.okx,
    "/v5/market/": exchange.bybit,
    "/0/public/": exchange.kraken,
    "/v1/ohlcv/": vendor.coinapi,
    "/v2/data/trades.v1/": vendor.kaiko,
    "/v1/": vendor.tardis,
}
