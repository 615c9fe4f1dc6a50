"""The bytes of a file, unpacked within limits, and what kind of file they are."""

import re
import stat
import zlib
from pathlib import Path

from tradewind.data.files.findings import ImportNotes
from tradewind.data.files.limits import require_bytes
from tradewind.errors import BadData

_BLOCK = 512  # bytes that `st_blocks` counts in
_CHUNK = 1 << 20

_STREAM = re.compile(rb"\d{19} \{")
# A mark of UTF-32 begins as one of UTF-16.
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}  # fmt: skip


def read_contents(path: Path) -> bytes:
    """The bytes of the file, unpacked if they are gzip.

    Raises:
        BadData: missing, not permitted, empty, too large, damaged, or a bomb.
    """
    where = str(path)
    try:
        require_regular(path)
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BadData(f"{where} does not exist: correct the folder or the pattern") from error
    except PermissionError as error:
        raise BadData(f"{where} may not be read by this user: change its permissions (chmod u+r)") from error
    except OSError as error:
        raise BadData(f"{where} cannot be read ({error}): it must be a file") from error
    if content[:2] == b"\x1f\x8b":
        return _unpack(content, where)
    if content[:4] == b"PK\x03\x04":
        if b"xl/workbook" in content or b"[Content_Types].xml" in content[:4096]:
            raise BadData(f"{where} is an Excel workbook: save its sheet as CSV and import that")
        raise BadData(f"{where} is a ZIP archive: unpack it and import what it holds")
    return content


def require_regular(path: Path) -> int:
    """The size of a file, if it is one and may be read whole; told before it is opened.

    Raises:
        BadData: no regular file (a device, a pipe, a folder), empty, too large, or mostly holes.
        OSError: it is not there or not permitted.
    """
    found, where = path.stat(), str(path)
    if not stat.S_ISREG(found.st_mode):
        raise BadData(f"{where} cannot be read: it must be a file, not a device, a pipe or a folder")
    if found.st_size == 0:
        raise BadData(f"{where} is empty (0 bytes): fetch it again or remove it")
    # A file of holes takes no room on the disk and all of it in memory; what has no blocks at all may be stored inline.
    blocks = getattr(found, "st_blocks", 0) * _BLOCK
    require_bytes(found.st_size, blocks or found.st_size if found.st_size < _CHUNK else blocks, where)
    return found.st_size


def _unpack(packed: bytes, where: str) -> bytes:
    """Every member of a gzip file; stops as soon as it grows beyond belief."""
    parts, size, position, pending = [], 0, 0, b""
    member = zlib.decompressobj(wbits=31)
    try:
        while True:
            if not pending:
                pending = packed[position : position + _CHUNK]
                position += len(pending)
            part = member.decompress(pending, _CHUNK)
            parts.append(part)
            size += len(part)
            require_bytes(size, min(position, len(packed)), where)
            if member.eof:
                position -= len(member.unused_data)
                if packed[position : position + 2] != b"\x1f\x8b":
                    break
                member, pending = zlib.decompressobj(wbits=31), b""
            elif not part and not pending:
                raise zlib.error("it ends within the compressed data")
            else:
                pending = member.unconsumed_tail
    except zlib.error as error:
        raise BadData(f"{where} is damaged or not a gzip file ({error}): fetch it again or repair it") from error
    if packed[position:].strip(b"\0"):
        raise BadData(f"{where} is damaged: {len(packed) - position:,} bytes after the compressed data. Fetch it again")
    return b"".join(parts)


def kind_of_contents(content: bytes) -> str:
    """parquet, feather, json, stream (a raw exchange stream) or csv, by the first bytes."""
    if content[:4] == b"PAR1":
        return "parquet"
    if content[:6] == b"ARROW1":
        return "feather"
    if _STREAM.match(content):
        return "stream"
    if content[:200].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{"):
        return "json"
    return "csv"


def as_utf8(content: bytes, encoding: str | None, notes: ImportNotes) -> bytes:
    """The text as UTF-8 without a byte order mark.

    Args:
        content: of the file.
        encoding: a codec of Python; None expects UTF-8 or a byte order mark.
        notes: names the file in messages, and gets the encoding.

    Returns:
        UTF-8.

    Raises:
        BadData: the bytes are no text in the encoding, or do not say which they are in.
    """
    marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    if encoding is None and marked == "utf-8-sig":
        content, marked = content[3:], None
    if encoding is None and marked is None:
        if b"\0" in content:
            raise BadData(
                f"{notes.where} holds NUL bytes: it is no UTF-8 text. Give its encoding (such as "
                "encoding=utf-16-le), or fetch it again"
            )
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise BadData(
                f"{notes.where} is no UTF-8 text ({error}): give its encoding (such as encoding=latin-1), or fetch "
                "it again"
            ) from error
        return content
    name = encoding or str(marked)
    try:
        text = content.decode(name)
    except (LookupError, ValueError) as error:
        raise BadData(
            f"{notes.where} is no text in {name} ({error}): correct the setting encoding or repair it"
        ) from error
    if "\0" in text:
        raise BadData(f"{notes.where} holds NUL characters when read as {name}: correct the setting encoding")
    notes.add_finding("encoding", name, "byte order mark" if marked and not encoding else "given")
    return text.encode("utf-8", "replace").removeprefix(b"\xef\xbb\xbf")
