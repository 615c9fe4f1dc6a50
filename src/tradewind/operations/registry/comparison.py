"""Two versions side by side."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tradewind.operations.bundle.contents import LATENCY, REFERENCE, Bundle


class Row(NamedTuple):
    """One line of the comparison."""

    what: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether the two versions have something else here."""
        return self.first != self.second


def compare(first: Bundle, second: Bundle) -> list[Row]:
    """What two versions are, know and need, one line for each thing, equal lines included."""
    facts = [_facts(first), _facts(second)]
    names = [*facts[0], *(name for name in facts[1] if name not in facts[0])]
    return [Row(name, facts[0].get(name, "none"), facts[1].get(name, "none")) for name in names]


def _facts(bundle: Bundle) -> dict[str, str]:
    latency, edge = bundle.document(LATENCY), bundle.document(REFERENCE)["edge"]
    spec = bundle.spec.model_dump(mode="json")
    features = spec.pop("features")
    flat = {name: _shown(value) for name, value in _flatten(spec) if name != "format"}
    return {
        "identity": bundle.identity[:24], **flat, "features": f"{len(features)}",
        "forecast, 50th percentile": f"{latency['wall_ms']['p50']:.3f} ms",
        "forecast, 99th percentile": f"{latency['wall_ms']['p99']:.3f} ms",
        "throughput": f"{latency['throughput_per_s']:.0f} forecasts/s",
        "walk-forward edge, deviation": f"{edge['deviation']:.4f}",
        "bytes": f"{sum(map(len, bundle.files.values()))}",
    }  # fmt: skip


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for name, value in tree.items():
        out += _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return out


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else f"{value}"
