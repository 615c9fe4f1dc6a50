"""Small documents: JSON, text and Plotly figures."""

import json
import math
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview
from kedro_datasets.plotly import JSONDataset as PlotlyJSONDataset

from tradewind.atomic import atomic_file, write_bytes
from tradewind.errors import BadData


class TextDataset(AbstractDataset[str, str]):
    """A UTF-8 text file (report, Markdown), written atomically, with line ends kept as they are."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> str:
        """The text."""
        return _read_text(self._filepath)

    def save(self, data: str) -> None:
        """Replace the file."""
        if not isinstance(data, str):
            raise BadData(f"{self._filepath}: text to save must be a string, found {type(data).__name__}")
        write_bytes(self._filepath, data.encode())

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class JSONDataset(AbstractDataset[Any, Any]):
    """A JSON document, written atomically, keys in the order given.

    JSON has no NaN: a missing number is stored as null and read back as None. Infinity is refused.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Any:
        """The document."""
        text = _read_text(self._filepath)
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadData(
                f"{self._filepath} is not JSON ({error}): delete it and run the stage that writes it"
            ) from error

    def save(self, data: Any) -> None:
        """Replace the file."""
        plain = _plain(data, str(self._filepath))
        write_bytes(self._filepath, (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode())

    def preview(self) -> JSONPreview:
        """The whole document, for Kedro-Viz."""
        return JSONPreview(json.dumps(self.load()))

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class FigureDataset(PlotlyJSONDataset):
    """A Plotly figure as JSON, written atomically; loaded and previewed as by kedro-datasets."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(filepath=filepath, metadata=metadata)

    def save(self, data: Any) -> None:
        """Replace the file."""
        path = Path(str(self._filepath))
        with atomic_file(path) as temporary:
            data.write_json(temporary)
        self._invalidate_cache()


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as error:
        raise BadData(f"{path} does not exist: run the stage that writes it") from error
    except PermissionError as error:
        raise BadData(f"{path} may not be read by this user: change its permissions") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8 text ({error}): delete it and run the stage that writes it") from error


def _plain(value: Any, where: str) -> Any:
    """`value` in JSON's own types; numpy scalars and arrays become numbers and lists, tuples become lists."""
    if isinstance(value, dict):
        return {str(key): _plain(item, f"{where}: {key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), where)
    if isinstance(value, float):
        if math.isinf(value):
            raise BadData(f"{where} is infinite, which JSON cannot hold: store it as missing or as text")
        return None if math.isnan(value) else value
    if value is None or isinstance(value, str | int):
        return value
    raise BadData(f"{where} is a {type(value).__name__}, which JSON cannot hold: store it as text or a number")
