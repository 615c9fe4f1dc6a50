"""Where Optuna keeps its studies: one SQLite file a model, so that a search goes on after a kill."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tradewind.errors import BadData


class StudyStorages:
    """Optuna's RDB storages: `NAME/studies.sqlite` below one folder for the model called NAME."""

    def __init__(self, folder: Path) -> None:
        """Storages below `folder`, each made when it is first asked for."""
        self._folder = folder

    def of(self, name: str) -> Any:
        """The storage of one model's studies.

        Raises:
            BadData: the file is not an Optuna store.
        """
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        file = self._folder / name / "studies.sqlite"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            return optuna.storages.RDBStorage(f"sqlite:///{file}")
        except (SQLAlchemyError, RuntimeError) as error:
            raise BadData(f"{file} is not an Optuna store ({error}): delete it, the search starts anew") from error


class OptunaStorageDataset(AbstractDataset[None, StudyStorages]):
    """The studies of all models that are searched."""

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> StudyStorages:
        """The storages."""
        return StudyStorages(self._path)

    def save(self, data: None) -> None:
        """Refused: Optuna writes its trials itself."""
        raise BadData("studies are written by Optuna, not saved as a whole")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
