"""Labels stay few whatever values come."""

from prometheus_client import CollectorRegistry, Gauge

from tradewind.operations.prometheus.labels import OTHER, Labels


def test_a_million_symbols_make_one_series_more() -> None:
    registry = CollectorRegistry()
    labels = Labels(registry, symbol=("BTCUSDT", "ETHUSDT"))
    shown = {labels.of("symbol", f"COIN{number}") for number in range(1_000_000)}
    shown |= {labels.of("symbol", "BTCUSDT"), labels.of("symbol", "ETHUSDT")}
    assert shown == {"BTCUSDT", "ETHUSDT", OTHER}
    assert registry.get_sample_value("tradewind_label_others_total", {"label": "symbol"}) == 1_000_000


def test_without_them_series_would_grow() -> None:
    registry = CollectorRegistry()
    bare = Gauge("bare", "Planted: labels as they come.", ["symbol"], registry=registry)
    for number in range(1000):
        bare.labels(f"COIN{number}").set(1)
    assert sum(len(family.samples) for family in registry.collect()) == 1000
