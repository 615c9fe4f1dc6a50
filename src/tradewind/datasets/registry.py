"""The registry of models as a dataset: saving a bundle registers it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tradewind.errors import BadModel

logger = logging.getLogger(__name__)

_moving = [True]


@contextmanager
def champions_stay() -> Iterator[None]:
    """While a bundle that is saved replaces no champion: who retrains moves roles by rules of its own."""
    _moving.append(False)
    try:
        yield
    finally:
        _moving.pop()


class RegistryDataset(AbstractDataset[dict[str, bytes], Any]):
    """The registry in a folder. What is saved to it is the files of one bundle, which becomes the next version."""

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> Any:
        """The registry."""
        from tradewind.operations.registry.registry import Registry

        return Registry(self._path)

    def save(self, data: dict[str, bytes]) -> None:
        """Register a bundle; where nothing is served in development yet, or an older version is, it is from now on."""
        from tradewind.operations.registry.records import Reason

        if not isinstance(data, dict) or not all(isinstance(content, bytes) for content in data.values()):
            raise BadModel("what is saved to the registry is a bundle: names of files and their bytes")
        registry = self.load()
        version = registry.register(data)
        present = registry.roles("development").champion
        if present is None or (_moving[-1] and present != version.version):
            reason = Reason("deployment", "the newest bundle is served in development")
            registry.move("development", "champion", version.version, present, reason)
        message = "%s is registered in %s (verdict: %s)"
        logger.info(message, version.label, self._path, version.verdict, extra={"lasting": True})

    def _exists(self) -> bool:
        return self._path.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
