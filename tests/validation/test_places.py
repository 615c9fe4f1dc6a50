"""Histories that are laid one after the other do not see each other."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tradewind.market.series import QUALITY_SERIES
from tradewind.validation import places
from tradewind.validation.planted_leaks import planted_run
from tradewind.validation.research_run import Steps, make_bars


@pytest.mark.parametrize("left_out", [True, False])
def test_scores_that_look_back_across_places_are_left_to_the_whole_runs(
    parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch, left_out: bool
) -> None:
    """Planted: they are compared, and seem to know the future of the place before."""
    sources, settings = planted_run(parameters)
    named = (*sources.universe.side_series, *QUALITY_SERIES)
    sources = replace(sources, universe=sources.universe.model_copy(update={"side_series": named}))
    features = settings.features.model_copy(update={"include": (*settings.features.include, "quality_*")})
    settings = settings.model_copy(update={"features": features})
    bars, _ = make_bars(sources, settings, Steps())
    if not left_out:
        monkeypatch.setattr(places, "QUALITY_SERIES", "none")
    found = places.compare(cast("Any", SimpleNamespace(bars=bars)), sources, settings, Steps(), 20, {})
    compared = {name for _, name, _, _ in found}
    assert "log_return_1" in compared and ("quality_outliers_level" in compared) is not left_out
    moved = {leak.name for _, _, _, leak in found if leak}
    assert (moved == set()) is left_out, moved
    assert all(name.startswith("quality_") for name in moved)
