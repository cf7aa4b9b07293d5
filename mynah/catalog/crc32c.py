"""CRC-32C (Castagnoli), the checksum of TensorFlow's files: a few lanes of NumPy instead of a compiled library."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
_POLYNOMIAL = 0x82F63B78  # reflected
_LANE = 1024  # bytes, a power of two
_BLOCK = 1 << 22  # bytes looked at together
_SMALL = 4096  # bytes; fewer are done one by one


def crc32c(content: Any) -> int:
    """Checksum of anything that offers its bytes.

    The register is linear in the bytes: lanes are run side by side from zero, then each is moved past the bytes that
    follow it and added.

    Example:

        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    data = np.frombuffer(content, np.uint8)
    register = 0xFFFFFFFF
    while data.size >= _SMALL:
        register = _register_of_lanes(data[:_BLOCK], register)
        data = data[_BLOCK:]
    table = _tables()[3].tolist()
    for byte in data.tolist():
        register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """As stored: turned by 15 bits and shifted, so that checksums of checksums stay meaningful.

    Example:

        >>> hex(masked(0))
        '0xa282ead8'
    """
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _register_of_lanes(data: NDArray[np.uint8], register: int) -> int:
    # Zeros in front leave an empty register empty; a register that is not empty is added to the first four bytes.
    padded = np.zeros(-(-data.size // _LANE) * _LANE, np.uint8)
    start = padded.size - data.size
    padded[start:] = data
    padded[start : start + 4] ^= np.frombuffer(register.to_bytes(4, "little"), np.uint8)
    words = np.ascontiguousarray(padded.view("<u4").reshape(-1, _LANE // 4).T)
    past = _tables()
    lanes = np.zeros(words.shape[1], np.uint32)
    for word in words:
        lanes = _moved(lanes ^ word, past)
    for _ in range((_LANE // 4).bit_length() - 1):
        past = _twice(past)
    while lanes.size > 1:
        if lanes.size % 2:
            lanes = np.concatenate([np.zeros(1, np.uint32), lanes])
        lanes = _moved(lanes[0::2], past) ^ lanes[1::2]
        past = _twice(past)
    return int(lanes[0])


def _moved(register: Words, past: Words) -> Words:
    """The register after as many zero bytes as `past` stands for: a table for each of its four bytes."""
    moved: Words = (
        past[0][register & 0xFF]
        ^ past[1][register >> 8 & 0xFF]
        ^ past[2][register >> 16 & 0xFF]
        ^ past[3][register >> 24]
    )
    return moved


def _twice(past: Words) -> Words:
    return np.stack([_moved(table, past) for table in past])


@cache
def _tables() -> Words:
    """Four zero bytes further: `[byte of the register, its value]`. The last one is the classic table of one byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    tables = [table]
    for _ in range(3):
        tables.insert(0, table[tables[0] & 0xFF] ^ (tables[0] >> 8))
    return np.stack(tables)
