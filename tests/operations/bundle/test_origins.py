"""A bundle names what it came from, and is refused where that contradicts itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError

from tests.operations.bundles import TERMS
from tests.pipelines.test_deployment import build
from tradewind.datasets.origins import OriginsDataset
from tradewind.errors import BadModel
from tradewind.operations.bundle.origins import ORIGINS, fingerprints, origins_file, require_agreement
from tradewind.provenance.records import Origin, Record, Records, flat

UNIVERSE = flat(TERMS.universe, "universe")


def records(**changed: Any) -> dict[str, Record]:
    """Those of a run: bars, model input from them, and the verdict."""
    sources = {"source_bars": {"edge": 2.2}}
    bars = Origin("data.bars", 1, {}, UNIVERSE, sources)
    rows = Origin("features.join", 1, {}, {"labels.horizon": 24}).reading("bars", bars)
    verdict = Origin("evaluation.judge", 1, {}, {"evaluation.verdict.confidence": 0.95}).reading("bars", bars)
    found = {"bars": bars, "model_input": rows, "verdict": verdict} | changed
    return {name: Record(name, "test", "c", origin) for name, origin in found.items()}


def documents(**changed: Any) -> dict[str, Any]:
    return {name: record.document() for name, record in records(**changed).items()}


def test_a_bundle_names_the_fingerprints_it_came_from(tmp_path: Path) -> None:
    Records(tmp_path)  # a folder without records gives none
    for record in records().values():
        Records(tmp_path).write(record)
    loaded = OriginsDataset(path=str(tmp_path / "provenance")).load()
    registry = build("best", tmp_path / "registry", loaded)
    assert fingerprints(registry.read(1)[ORIGINS]) == {name: one.fingerprint for name, one in records().items()}
    assert registry.load(1).spec.name == "linear"  # it opens
    assert ORIGINS not in build("best", tmp_path / "other").read(1)


OTHER_MARKET = Origin("evaluation.judge", 1, {}, UNIVERSE, {"source_bars": {"edge": 0.0}})
OTHER_BARS = Origin("evaluation.judge", 1, {"bars": "0" * 64})
OTHER_BAR = Origin("features.join", 1, {}, {**UNIVERSE, "universe.timeframe": "4h"})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"verdict": OTHER_MARKET}, "verdict was made with source source_bars = {'edge': 0.0}, model_input with"),
        ({"verdict": OTHER_BARS}, "verdict was made from another bars than the bundle"),
        ({"model_input": OTHER_BAR}, "the bundle was made with parameter universe.timeframe = '1h', .* with '4h'"),
    ],
)
def test_what_contradicts_itself_is_refused_when_it_is_opened(
    changed: dict[str, Origin], told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadModel, match=f"{told}.*deploy the model again"):
        build("best", tmp_path, documents(**changed)).load(1)


def test_a_record_that_was_altered_is_refused(tmp_path: Path) -> None:
    altered = json.loads(json.dumps(documents()))
    altered["bars"]["origin"]["sources"]["source_bars"]["edge"] = 0.0
    with pytest.raises(BadModel, match="origins.json, bars was altered"):
        require_agreement(origins_file(altered), {}, "bundle")
    path = tmp_path / "provenance/bars.json"
    path.parent.mkdir()
    path.write_text(json.dumps(altered["bars"]))
    with pytest.raises(DatasetError, match="was altered"):
        OriginsDataset(path=str(path.parent)).load()
    with pytest.raises(BadModel, match="is damaged"):
        fingerprints(b"[")
