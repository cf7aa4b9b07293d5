"""Sorted string tables (LevelDB's, as TensorFlow writes them): pairs of key and value in checked blocks."""

from __future__ import annotations

from collections.abc import Iterator

from mynah.catalog.crc32c import crc32c, masked
from mynah.catalog.snappy import unpack
from mynah.core.errors import BadCheckpoint

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes
_TRAILER = 5  # bytes behind each block: how it is packed, and its checksum
_KEY_BYTES = 4096
_PLAIN, _SNAPPY = 0, 1


def pairs(table: bytes, most: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of every entry, in the order of the keys.

    Args:
        table: The whole file.
        most: Bytes that all blocks together may have once they are unpacked.

    Raises:
        BadCheckpoint: It is none, or is damaged.
    """
    if len(table) < _FOOTER or int.from_bytes(table[-8:], "little") != _MAGIC:
        raise BadCheckpoint("its index is cut off, or is none")
    footer, at = table[-_FOOTER:-8], 0
    handles = []
    for _ in range(4):
        number, at = varint(footer, at)
        handles.append(number)
    end = len(table) - _FOOTER
    index = _block(table, handles[2], handles[3], end, most)
    most -= len(index)
    before: bytes | None = None
    behind = 0
    for _, handle in _entries(index):
        offset, at = varint(handle, 0)
        size, at = varint(handle, at)
        if offset < behind:
            raise BadCheckpoint("the blocks of its index overlap")
        behind = offset + size
        block = _block(table, offset, size, end, most)
        most -= len(block)
        for key, value in _entries(block):
            if before is not None and key <= before:
                raise BadCheckpoint("the names in its index are out of order")
            before = key
            yield key, value


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number of seven bits a byte that starts at `at`, and where it ends.

    Raises:
        BadCheckpoint: It is cut off, or has more than 64 bits.

    Example:

        >>> varint(bytes([0x96, 0x01]), 0)
        (150, 2)
    """
    number = 0
    for place in range(10):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if number >> 64:
                break
            return number, at
    raise BadCheckpoint("it holds a number that never ends")


def _block(table: bytes, offset: int, size: int, end: int, most: int) -> bytes:
    if offset + size + _TRAILER > end:
        raise BadCheckpoint("its index refers to what lies outside it")
    content = table[offset : offset + size]
    trailer = table[offset + size : offset + size + _TRAILER]
    if masked(crc32c(content + trailer[:1])) != int.from_bytes(trailer[1:], "little"):
        raise BadCheckpoint("its index is damaged (wrong checksum)")
    if trailer[0] == _SNAPPY:
        return unpack(content, most)
    if trailer[0] != _PLAIN:
        raise BadCheckpoint("its index is packed in an unknown way")
    if size > most:
        raise BadCheckpoint("its index is larger than any checkpoint's")
    return content


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys that share their beginning with the one before store only the rest."""
    if len(block) < 4:
        raise BadCheckpoint("its index holds an empty block")
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise BadCheckpoint("its index holds a malformed block")
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        rest, at = varint(block, at)
        size, at = varint(block, at)
        if shared > len(key) or shared + rest > _KEY_BYTES or at + rest + size > end:
            raise BadCheckpoint("its index holds a malformed entry")
        key = key[:shared] + block[at : at + rest]
        at += rest + size
        yield key, block[at - size : at]
