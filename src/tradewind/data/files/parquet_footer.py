"""What a Parquet file's footer says of its column chunks, read here and not by Arrow.

Arrow 25 ends the whole process (`std::terminate`) where `RowGroupMetaData.column` meets a chunk whose size statistics
contradict its schema; reading the table raises an error there, as it should. Damaged and hostile files come to this
door, so the bounds are taken from the footer's bytes (Thrift's compact protocol; apache/parquet-format,
`parquet.thrift`).
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from tradewind.errors import BadData

BYTE_ARRAY, DELTA_BYTE_ARRAY = 6, 7  # parquet.thrift, Type and Encoding
LARGEST_FOOTER = 32 << 20  # bytes; a hundred row groups of a thousand columns have some 15 MB
_DEEPEST = 32
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_TAIL = struct.Struct("<i4s")


class ColumnChunk(NamedTuple):
    """One column of one row group.

    Attributes:
        name: its path in the schema, joined by points.
        is_bytes: whether its physical type is BYTE_ARRAY, as of text.
        is_prefixed: whether some of it is encoded as DELTA_BYTE_ARRAY.
        cells: its values, or the rows of the group if they are more.
        unpacked: its bytes without compression.
    """

    name: str
    is_bytes: bool
    is_prefixed: bool
    cells: int
    unpacked: int


def column_chunks(content: memoryview, where: str) -> Iterator[ColumnChunk]:
    """Every column chunk that a file names.

    Args:
        content: the whole file.
        where: its name, for messages.

    Raises:
        BadData: the footer is not one, or too large.
    """
    size, _ = _TAIL.unpack_from(content, len(content) - _TAIL.size)
    if not 0 < size <= min(LARGEST_FOOTER, len(content) - _TAIL.size):
        raise BadData(
            f"{where}: its footer has {size:,} bytes, and may have {LARGEST_FOOTER:,}: write fewer row groups"
        )
    footer = _Compact(content[len(content) - _TAIL.size - size : len(content) - _TAIL.size])
    try:
        groups = footer.struct({4: {1: {3: {1: None, 2: None, 3: None, 5: None, 6: None}}, 3: None}}).get(4) or []
        for group in groups:
            rows = int(group.get(3) or 0)
            for chunk in group.get(1) or []:
                about = chunk.get(3) or {}
                yield ColumnChunk(
                    b".".join(about.get(3) or []).decode("utf-8", "replace"),
                    about.get(1) == BYTE_ARRAY,
                    DELTA_BYTE_ARRAY in (about.get(2) or []),
                    max(int(about.get(5) or 0), rows),
                    int(about.get(6) or 0),
                )
    except (IndexError, struct.error, AttributeError, TypeError) as error:
        raise BadData(f"{where}: its footer is damaged ({error}): fetch it again") from error


class _Compact:
    """Reads what is asked for of a struct in Thrift's compact protocol, and passes over the rest."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    def struct(self, wanted: dict[int, Any], depth: int = 0) -> dict[int, Any]:
        """Some fields of a struct by their numbers.

        Args:
            wanted: the numbers; of a field that is a struct, or a list of structs, what is wanted of those; else None.
            depth: of structs around it.
        """
        if depth > _DEEPEST:
            raise IndexError("too many structs inside each other")
        found: dict[int, Any] = {}
        number = 0
        while header := self._byte():
            kind, delta = header & 15, header >> 4
            number = number + delta if delta else self._integer()
            if number in wanted:
                found[number] = self._value(kind, wanted[number] or {}, depth + 1)
            else:
                self._pass(kind, depth + 1)
        return found

    def _value(self, kind: int, wanted: dict[int, Any], depth: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BINARY:
            return bytes(self._bytes(self._varint()))
        if kind == _STRUCT:
            return self.struct(wanted, depth)
        if kind in (_LIST, _SET):
            of, count = self._list()
            return [self._value(of, wanted, depth + 1) for _ in range(count)]
        if 4 <= kind <= 6:
            return self._integer()
        raise IndexError(f"a value of type {kind} where none can be")

    def _pass(self, kind: int, depth: int) -> None:
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BYTE:
            self._bytes(1)
        elif kind == _DOUBLE:
            self._bytes(8)
        elif kind == _BINARY:
            self._bytes(self._varint())
        elif kind == _STRUCT:
            self.struct({}, depth)
        elif kind in (_LIST, _SET):
            of, count = self._list()
            for _ in range(count):
                self._pass(_BYTE if of in (_TRUE, _FALSE) else of, depth + 1)
        elif kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            for _ in range(count):
                for one in (kinds >> 4, kinds & 15):
                    self._pass(_BYTE if one in (_TRUE, _FALSE) else one, depth + 1)
        elif 4 <= kind <= 6:
            self._varint()
        else:
            raise IndexError(f"a value of type {kind}")

    def _list(self) -> tuple[int, int]:
        header = self._byte()
        count = header >> 4
        if count == 15:
            count = self._varint()
        if count > len(self._content) - self._at:
            raise IndexError("a list with more elements than bytes are left")
        return header & 15, count

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            one = self._byte()
            value |= (one & 0x7F) << shift
            if not one & 0x80:
                return value
            shift += 7
            if shift > 63:
                raise IndexError("a number of more than ten bytes")

    def _byte(self) -> int:
        one = self._content[self._at]
        self._at += 1
        return one

    def _bytes(self, count: int) -> memoryview:
        if count > len(self._content) - self._at:
            raise IndexError("a text that is longer than what is left")
        self._at += count
        return self._content[self._at - count : self._at]
