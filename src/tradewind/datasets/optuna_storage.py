"""Where Optuna keeps its studies: one SQLite file, so that a search goes on after a kill."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tradewind.errors import BadData


class OptunaStorageDataset(AbstractDataset[None, Any]):
    """An Optuna RDB storage in a SQLite file, made when missing."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Any:
        """The storage.

        Raises:
            BadData: the file is not an Optuna store.
        """
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        try:
            return optuna.storages.RDBStorage(f"sqlite:///{self._filepath}")
        except (SQLAlchemyError, RuntimeError) as error:
            raise BadData(
                f"{self._filepath} is not an Optuna store ({error}): delete it, the search starts anew"
            ) from error

    def save(self, data: None) -> None:
        """Refused: Optuna writes its trials itself."""
        raise BadData("studies are written by Optuna, not saved as a whole")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
