"""What every page is made of: figures that are drawn when they are looked at, tables, and the library that draws."""

import base64
import gzip
import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

DEFAULT_HEIGHT = 380
# Whole minutes in UTC: what is finer or elsewhere stays as it is.
_INSTANT = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)T(?P<time>\d\d:\d\d):00(\.0+)?(\+00:00)?")


def render(template: str, **content: Any) -> str:
    """A page of its own, without the network; all text from data is escaped by the template."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("tradewind.reports"), autoescape=True, trim_blocks=True)
    return environment.get_template(template).render(plotly_packed=packed_plotly(), **content)


@cache
def packed_plotly() -> str:
    """The drawing library, packed: a third of its size, and parsed only once the page is there to be read."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode("ascii")


def div(figure: Any) -> str:
    """The figure as a place on the page with its data beside it; colours of paper and ink are the reader's."""
    content = json.loads(figure.to_json())
    content["layout"].pop("template", None)
    content["data"] = [_short(trace) for trace in content["data"]]
    height = int(content["layout"].get("height") or DEFAULT_HEIGHT)
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return (
        f'<div class="figure" style="min-height:{height}px">'
        f'<script type="application/json">{data}</script><div class="plot"></div></div>'
    )


def _short(value: Any) -> Any:
    """The same content in fewer letters: instants without idle zeros, numbers in single precision."""
    if isinstance(value, dict):
        if value.get("dtype") == "f8":
            single = np.frombuffer(base64.b64decode(value["bdata"]), dtype="<f8").astype("<f4")
            return {**value, "dtype": "f4", "bdata": base64.b64encode(single.tobytes()).decode("ascii")}
        # Texts are shown as they are: single precision would show its digits.
        return {name: part if name == "text" else _short(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_short(part) for part in value]
    matched = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        return value
    return matched["day"] if matched["time"] == "00:00" else f"{matched['day']} {matched['time']}"


def table(rows: Iterable[dict[str, str]]) -> dict[str, Any]:
    """Rows for the template's table: its head, and the cells of each row."""
    listed = list(rows)
    return {"head": list(listed[0]) if listed else [], "rows": [list(row.values()) for row in listed]}
