"""A client that comes too early, or after a champion that cannot be loaded, is told which of the two it is."""

from pathlib import Path

import pytest

from tests.operations.bundles import bundle_files
from tests.serving.conftest import LOOSE, ME
from tradewind.errors import BadModel
from tradewind.operations.registry.registry import Registry
from tradewind.serving.functions import Functions
from tradewind.serving.messages import PriceRequest
from tradewind.serving.refusals import Refusal
from tradewind.serving.settings import ServingSettings
from tradewind.serving.variants import Variant


def refusal(functions: Functions) -> Refusal:
    with pytest.raises(Refusal) as caught:
        functions.predict_price(PriceRequest.model_validate({"symbol": "BTCUSDT", "horizon_bars": 24}))
    return caught.value


def test_none_being_loaded_and_refused_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(tmp_path / "registry", LOOSE)
    settings = ServingSettings(registry=tmp_path / "registry", tokens=tmp_path / "tokens.json", gate=LOOSE)
    functions = Functions(settings)
    assert "no model is in service" in refusal(functions).detail and "deploy" in refusal(functions).remedy
    registry.register(bundle_files(seed=1))
    registry.move("development", "champion", 1, None, ME)

    def slow(self: Variant) -> None:
        said.append(refusal(functions).detail)
        raise BadModel("its graph does not fit")

    said: list[str] = []
    monkeypatch.setattr(Variant, "warm", slow)
    assert not functions.models.refresh()
    assert said and "version 1 is being loaded" in said[0]
    assert "is not served: its graph does not fit" in refusal(functions).detail
    assert functions.readiness == (False, refusal(functions).detail)
    monkeypatch.undo()
    assert functions.models.refresh() and functions.readiness == (True, "")
