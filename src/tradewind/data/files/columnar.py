"""Parquet and Feather files within the limits: their metadata are read first, and nothing grows unseen after that."""

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tradewind.data.files.limits import require_bytes, require_cells
from tradewind.data.files.parquet_footer import column_chunks
from tradewind.errors import BadData

Choose = Callable[[list[str]], Sequence[str]]
_FEW = 10_000
_BLOCK = struct.Struct("<qixxxxq")


def read_parquet(source: Path | bytes, where: str, choose: Choose | None = None) -> pa.Table:
    """The table of a Parquet file, or some of its columns, text decoded.

    Args:
        source: the file, or its bytes.
        where: its name, for messages.
        choose: gets the names of its columns and says which are wanted.

    Raises:
        BadData: the file holds more than it may.
        pyarrow.ArrowInvalid: it is damaged.
    """
    buffer = pa.memory_map(str(source)).read_buffer() if isinstance(source, Path) else pa.py_buffer(source)
    file = pq.ParquetFile(pa.BufferReader(buffer))
    names = file.schema_arrow.names
    require_cells(0, len(names), where)
    wanted = list(choose(names)) if choose is not None else names
    text = _require_parquet(memoryview(buffer).cast("B"), set(wanted), where)
    if text:
        file = pq.ParquetFile(pa.BufferReader(buffer), read_dictionary=text)
    return _plain(file.read(columns=wanted, use_threads=False), buffer.size, where)


def read_feather(source: Path | bytes, where: str, choose: Choose | None = None) -> pa.Table:
    """The table of a Feather file (Arrow's file format), or some of its columns, text decoded.

    Args:
        source: the file, or its bytes.
        where: its name, for messages.
        choose: gets the names of its columns and says which are wanted.

    Raises:
        BadData: the file holds more than it may.
        pyarrow.ArrowInvalid: it is damaged.
    """
    buffer = pa.memory_map(str(source)).read_buffer() if isinstance(source, Path) else pa.py_buffer(source)
    cells = unpacked = 0
    try:
        for of_cells, of_bytes in _batches(memoryview(buffer).cast("B")):
            cells, unpacked = cells + of_cells, unpacked + of_bytes
            require_cells(cells, 1, where)
            require_bytes(unpacked, buffer.size, where)
    except (struct.error, IndexError) as error:
        raise pa.ArrowInvalid(f"not a whole Feather file: {error}") from error
    reader = pa.ipc.open_file(pa.BufferReader(buffer))
    require_cells(cells, len(reader.schema.names), where, buffer.size)
    table = reader.read_all()
    if choose is not None:
        table = table.select(list(choose(table.column_names)))
    return _plain(table, buffer.size, where)


def _require_parquet(content: memoryview, wanted: set[str], where: str) -> list[str]:
    """The text columns among those wanted, if the file's own footer is within the limits."""
    cells = unpacked = 0
    text = set[str]()
    for chunk in column_chunks(content, where):
        if chunk.name.partition(".")[0] not in wanted and chunk.name not in wanted:
            continue
        cells, unpacked = cells + chunk.cells, unpacked + chunk.unpacked
        if chunk.is_bytes:
            text.add(chunk.name)
            # Each text continues the one before it, so that its size is not said.
            if chunk.is_prefixed and chunk.cells > _FEW:
                raise BadData(
                    f"{where}: the size of the text in {chunk.name!r} is not told (encoded as DELTA_BYTE_ARRAY): write "
                    "it with another encoding"
                )
    require_cells(cells, 1, where, len(content))
    require_bytes(unpacked, len(content), where)
    return sorted(text)


def _plain(table: pa.Table, packed: int, where: str) -> pa.Table:
    """The table with its text decoded, unless that would take more than a file may."""
    size = table.nbytes
    for column in table.columns:
        size += _decoded_bytes(column)
        require_bytes(size, packed, where)
    for number, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind):
            table = table.set_column(number, field.name, table.column(number).cast(kind.value_type))
        elif pa.types.is_run_end_encoded(kind):
            decoded = [pc.run_end_decode(chunk) for chunk in table.column(number).chunks]
            table = table.set_column(number, field.name, pa.chunked_array(decoded, kind.value_type))
    return table


def _decoded_bytes(column: pa.ChunkedArray) -> int:
    total = 0
    for chunk in column.chunks:
        kind = chunk.type
        if pa.types.is_dictionary(kind) and _is_text(kind.value_type):
            lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
            total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
        elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
            total += pc.sum(pc.binary_length(chunk).cast(pa.int64())).as_py() or 0
    return total


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)


def _batches(content: memoryview) -> Iterator[tuple[int, int]]:
    """Cells and unpacked bytes of each batch of an Arrow file, as its metadata say (Arrow Columnar Format)."""
    (footer_size,) = struct.unpack_from("<i", content, len(content) - 10)
    footer = _Table.root(content, len(content) - 10 - footer_size)
    for field in (2, 3):  # dictionaries, record batches
        start, count = footer.vector(field)
        if count * _BLOCK.size > len(content):
            raise IndexError("more batches than the file has room for")
        for number in range(count):
            offset, metadata_size, _ = _BLOCK.unpack_from(content, start + number * _BLOCK.size)
            prefix = 8 if bytes(content[offset : offset + 4]) == b"\xff\xff\xff\xff" else 4
            message = _Table.root(content, offset + prefix)
            header = message.table(2)
            batch = header.table(1) if field == 2 else header
            yield _batch_size(content, batch, offset + metadata_size)


def _batch_size(content: memoryview, batch: "_Table", body: int) -> tuple[int, int]:
    nodes, node_count = batch.vector(1)
    cells = sum(struct.unpack_from("<q", content, nodes + 16 * at)[0] for at in range(node_count))
    buffers, buffer_count = batch.vector(2)
    is_packed, unpacked = batch.has(3), 0
    for at in range(buffer_count):
        offset, length = struct.unpack_from("<qq", content, buffers + 16 * at)
        declared = struct.unpack_from("<q", content, body + offset)[0] if is_packed and length >= 8 else -1
        unpacked += length if declared < 0 else declared
    return cells, unpacked


class _Table:
    """A table of a flatbuffer: its fields by number (flatbuffers.dev, Internals)."""

    def __init__(self, content: memoryview, at: int) -> None:
        self._content, self._at = content, at
        (back,) = struct.unpack_from("<i", content, at)
        self._fields = at - back
        (self._size,) = struct.unpack_from("<H", content, self._fields)

    @classmethod
    def root(cls, content: memoryview, at: int) -> "_Table":
        return cls(content, at + struct.unpack_from("<I", content, at)[0])

    def _place(self, number: int) -> int:
        if 4 + 2 * number >= self._size:
            return 0
        (offset,) = struct.unpack_from("<H", self._content, self._fields + 4 + 2 * number)
        return self._at + offset if offset else 0

    def has(self, number: int) -> bool:
        return self._place(number) > 0

    def table(self, number: int) -> "_Table":
        place = self._place(number)
        if not place:
            raise IndexError(f"field {number} is missing")
        return _Table(self._content, place + struct.unpack_from("<I", self._content, place)[0])

    def vector(self, number: int) -> tuple[int, int]:
        """Where its first element is, and how many there are."""
        place = self._place(number)
        if not place:
            return 0, 0
        start = place + struct.unpack_from("<I", self._content, place)[0]
        return start + 4, struct.unpack_from("<I", self._content, start)[0]
