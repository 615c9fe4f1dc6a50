from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.validation import DataValidationError

from tradewind.datasets import contracts
from tradewind.errors import BadData


def positions(target: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strategy": pd.Series(["always"], dtype="str"),
            "family": pd.Series(["baseline"], dtype="str"),
            "seed": [-1],
            "path": [-1],
            "symbol": pd.Series(["A"], dtype="str"),
            "timestamp": pd.DatetimeIndex(np.array([0], "datetime64[ms]"), tz="UTC"),
            "target": [target],
        }
    )


def test_valid_tables_pass_at_once_and_valid_functions_when_called() -> None:
    checked = contracts.positions({"ready": positions(1.0), "lazy": lambda: positions(0.5)})
    assert checked["ready"]["target"].tolist() == [1.0]
    assert checked["lazy"]()["target"].tolist() == [0.5]


def test_a_table_out_of_contract_is_named_with_column_and_value() -> None:
    with pytest.raises(BadData, match=r"partition bad breaks the contract Positions: column target .*: 1\.5"):
        contracts.positions({"good": positions(1.0), "bad": positions(1.5)})


def test_a_function_is_checked_when_it_is_called() -> None:
    checked = contracts.positions({"bad": lambda: positions(1.5)})
    with pytest.raises(BadData, match="partition bad"):
        checked["bad"]()


def test_a_missing_column_is_named() -> None:
    with pytest.raises(BadData, match="target"):
        contracts.positions({"bad": positions(1.0).drop(columns="target")})


def test_what_is_no_set_of_tables_is_refused() -> None:
    with pytest.raises(BadData, match="expected tables by partition, found DataFrame"):
        contracts.bars(positions(1.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["typed_bars", "bars", "features", "labels", "model_input", "positions", "backtests"])
def test_every_contract_refuses_a_foreign_table(name: str) -> None:
    with pytest.raises(BadData, match="partition foreign breaks the contract"):
        getattr(contracts, name)({"foreign": pd.DataFrame({"colour": pd.Series(["red"], dtype="str")})})


def test_the_catalog_applies_a_contract_on_save_and_on_load(tmp_path: Path) -> None:
    entry = {"type": "tradewind.datasets.PartitionedTableDataset", "path": str(tmp_path / "positions")}
    guarded = DataCatalog.from_config({"positions": entry | {"validator": "tradewind.datasets.contracts.positions"}})
    with pytest.raises(DataValidationError, match="partition bad breaks the contract Positions"):
        guarded.save("positions", {"bad": positions(1.5)})
    DataCatalog.from_config({"positions": entry}).save("positions", {"bad": positions(1.5)})
    with pytest.raises(BadData, match="partition bad breaks the contract Positions"):
        guarded.load("positions")["bad"]()
