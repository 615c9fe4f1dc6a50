"""`kedro audit-features` audits what the parameters select, on the project's bars, and its exit code says so."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.session import KedroSession

from tradewind.cli import cli
from tradewind.errors import BadParameters
from tradewind.learning.features.audit import Finding
from tradewind.pipelines.feature_engineering import audit

PARAMETERS: dict[str, Any] = {
    "universe": {
        "venue": "simulated", "symbols": ["SIM1", "SIM2", "SIM3"], "timeframe": "1h", "reference_symbol": "SIM1",
    },
    "feature_engineering": {"features": {"include": ["log_return_*", "rsi_*"], "slower_timeframes": []}},
}  # fmt: skip


class Catalog:
    def __init__(self, bars: dict[str, pd.DataFrame]) -> None:
        self._bars = {f"simulated/{name}/1h": lambda table=table: table for name, table in bars.items()}

    def load(self, name: str) -> Any:
        none = pd.DataFrame({"series": [], "symbol": [], "known_at": [], "value": []})
        return {"bars": self._bars, "side_series": none}[name]


def test_the_selected_features_obey(market_bars: dict[str, pd.DataFrame]) -> None:
    found, names = audit.audit_selected(Catalog(market_bars), PARAMETERS, None, 1500, 20)
    assert not [finding for finding in found if finding.is_fault]
    assert names and all(name.startswith(("log_return_", "rsi_")) for name in names)
    with pytest.raises(BadParameters, match="symbol 'SIM9' is not in universe.symbols"):
        audit.audit_selected(Catalog(market_bars), PARAMETERS, "SIM9", 1500, 20)


@pytest.mark.parametrize(("law", "code", "mark"), [("future", 1, "LEAK"), ("cut", 1, "FAIL"), ("clock", 0, "note")])
def test_the_command_fails_for_a_fault_and_not_for_a_note(
    monkeypatch: pytest.MonkeyPatch, law: str, code: int, mark: str
) -> None:
    context = SimpleNamespace(catalog=None, params=PARAMETERS)
    session = SimpleNamespace(load_context=lambda: context, __enter__=None, __exit__=None)

    class Session:
        def __enter__(self) -> Any:
            return session

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(KedroSession, "create", lambda *_, **__: Session())
    finding = Finding("mine", law, 17, "moved by 3")
    monkeypatch.setattr(audit, "audit_selected", lambda *_: ([finding], ("mine", "other")))
    result = CliRunner().invoke(cli, ["audit-features", "--verbose"], obj=SimpleNamespace(project_path="."))
    assert result.exit_code == code, result.output
    assert f"{mark}  mine" in result.output and "ok    other" in result.output
    assert f"2 features, 200 cuts: {2 - code} obey, {code} must not be used" in result.output
