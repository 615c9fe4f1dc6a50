"""Kedro datasets that kedro-datasets lacks: all reading and writing of the pipelines, atomic, solved once.

Names are resolved on first use, so that a run pays only for the datasets it has.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.datasets.accepted import AcceptedTablesDataset, CheckedTablesDataset
    from tradewind.datasets.bar_folder import BarFolderDataset
    from tradewind.datasets.documents import FigureDataset, JSONDataset, TextDataset
    from tradewind.datasets.gathered import DocumentFolderDataset, GatheredTablesDataset
    from tradewind.datasets.model_store import ModelStoreDataset
    from tradewind.datasets.no_table import NoTableDataset
    from tradewind.datasets.optuna_storage import OptunaStorageDataset
    from tradewind.datasets.origins import OriginsDataset
    from tradewind.datasets.partitioned import PartitionedTableDataset
    from tradewind.datasets.registry import RegistryDataset
    from tradewind.datasets.run_facts import RunFactsDataset
    from tradewind.datasets.side_folder import SideFolderDataset
    from tradewind.datasets.simulated_market import SimulatedMarketDataset
    from tradewind.datasets.stored_bars import StoredBarsDataset, StoredSideSeriesDataset
    from tradewind.datasets.stream_folder import StreamFolderDataset
    from tradewind.datasets.table import ParquetTableDataset

_HOME = {
    "AcceptedTablesDataset": "accepted",
    "BarFolderDataset": "bar_folder",
    "CheckedTablesDataset": "accepted",
    "DocumentFolderDataset": "gathered",
    "FigureDataset": "documents",
    "GatheredTablesDataset": "gathered",
    "JSONDataset": "documents",
    "ModelStoreDataset": "model_store",
    "NoTableDataset": "no_table",
    "OptunaStorageDataset": "optuna_storage",
    "OriginsDataset": "origins",
    "ParquetTableDataset": "table",
    "PartitionedTableDataset": "partitioned",
    "RunFactsDataset": "run_facts",
    "RegistryDataset": "registry",
    "SideFolderDataset": "side_folder",
    "SimulatedMarketDataset": "simulated_market",
    "StoredBarsDataset": "stored_bars",
    "StoredSideSeriesDataset": "stored_bars",
    "StreamFolderDataset": "stream_folder",
    "TextDataset": "documents",
    "TrialLedgerDataset": "trial_ledger",
}

__all__ = [
    "AcceptedTablesDataset",
    "BarFolderDataset",
    "CheckedTablesDataset",
    "DocumentFolderDataset",
    "FigureDataset",
    "GatheredTablesDataset",
    "JSONDataset",
    "ModelStoreDataset",
    "NoTableDataset",
    "OptunaStorageDataset",
    "OriginsDataset",
    "ParquetTableDataset",
    "PartitionedTableDataset",
    "RegistryDataset",
    "RunFactsDataset",
    "SideFolderDataset",
    "SimulatedMarketDataset",
    "StoredBarsDataset",
    "StoredSideSeriesDataset",
    "StreamFolderDataset",
    "TextDataset",
    "TrialLedgerDataset",
]


def __getattr__(name: str) -> Any:
    """The dataset class of that name."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
