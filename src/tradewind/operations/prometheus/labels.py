"""Labels that cannot grow without bound: what is not known beforehand is counted as one."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

OTHER = "other"


class Labels:
    """The values that labels may take, by label; anything else is `other`, and is counted.

    Whoever can make up label values can fill the memory of the process and of Prometheus: an exchange with a
    million symbols, or a client that asks for each address that there could be.
    """

    def __init__(self, registry: CollectorRegistry, **known: Iterable[str]) -> None:
        self._known = {label: frozenset(values) for label, values in known.items()}
        others = Counter(
            "tradewind_label_others", "Values that no label has room for, counted as `other`.", ["label"],
            registry=registry,
        )  # fmt: skip
        self._others = {label: others.labels(label) for label in known}

    def of(self, label: str, value: str) -> str:
        """The value that is shown."""
        if value in self._known[label]:
            return value
        self._others[label].inc()
        return OTHER
