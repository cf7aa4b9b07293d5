"""Indexes of vectors that faiss wrote, read without faiss: every count is checked against the file before it is used.

Faiss believes what such a file says of itself and dies of what is wrong with it. What communities share is of two kinds
only, flat ones and flat ones in cells (`IVF...,Flat`), and of those nothing but the vectors is of use here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
import torch
from torch import Tensor

from mynah.core.atomic import replacing
from mynah.core.errors import BadCheckpoint

KINDS = (b"IxFI", b"IxF2", b"IxFl", b"IwFl")  # flat by inner product, by distance, by either; in cells
MOST_BYTES = 4 << 30
MOST_SIZE = 4096  # of a vector
MOST_CELLS = 1 << 20
_BY_DISTANCE = 1
LOUDEST = 60_000.0  # what float16 still holds


def read_vectors(path: Path | str) -> Tensor:
    """The vectors of an index in the order of their numbers: float32 `[row, size]`, no rows where none were added.

    Raises:
        BadCheckpoint: Truncated, hostile, of another kind, or with vectors that are not numbers.

    Source: faiss/impl/index_write.cpp of facebookresearch/faiss, MIT: the layout.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            _refuse(f"it has {size / 1e9:.0f} GB")
        with path.open("rb") as file:
            vectors = _Reader(file, size).index()
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from error
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path}: cannot be read as an index of vectors: {error}") from error
    found = torch.from_numpy(vectors)
    if not found.isfinite().all() or (len(found) and float(found.abs().max()) > LOUDEST):
        raise BadCheckpoint(f"{path}: holds vectors that are not numbers (NaN, infinite or far too large)")
    return found


def write_vectors(rows: Tensor, out: Path | str) -> Path:
    """Write vectors `[row, size]` as a flat index by distance, which faiss opens, too; whole or not at all.

    Raises:
        NoSpace: The disk is full.
    """
    count, size = rows.shape
    head = b"IxF2" + struct.pack("<iqqq?iQ", size, count, 1 << 20, 1 << 20, True, _BY_DISTANCE, count * size)
    with replacing(Path(out)) as half, half.open("wb") as file:
        file.write(head)
        file.write(rows.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    return Path(out)


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def index(self) -> np.ndarray:
        kind = self._take(4)
        if kind not in KINDS:
            name = repr(kind.decode("latin-1")) if kind.isalnum() else "nothing that faiss writes"
            _refuse(f"it is of the kind {name}; only flat vectors (Flat, or IVF with Flat) can be used")
        size, count = self._head()
        vectors = self._cells(size, count) if kind == b"IwFl" else self._flat(size, count)
        if self._left:
            _refuse("it has bytes that belong to nothing")
        return vectors

    def _head(self) -> tuple[int, int]:
        """Size and number of vectors."""
        size, count = self._number(4), self._number(8)
        self._take(16)  # of no meaning
        self._take(1)  # whether cells were chosen
        if self._number(4) > 1:
            _refuse("it measures distances in a way that no voice model uses")
        if not 1 <= size <= MOST_SIZE:
            _refuse(f"it claims vectors of {size} numbers")
        if count * size * 4 > self._left:
            _refuse(f"it claims {count} vectors and is too short for them; the download may have been cut off")
        return size, count

    def _flat(self, size: int, count: int) -> np.ndarray:
        if self._number(8) != count * size:
            _refuse("it holds another number of vectors than it claims")
        return self._floats(count, size)

    def _cells(self, size: int, count: int) -> np.ndarray:
        cells = self._number(8)
        self._take(8)  # how many of them a search looks into
        if not 1 <= cells <= MOST_CELLS:
            _refuse(f"it claims {cells} cells")
        if self._take(4) not in KINDS[:3] or self._head() != (size, cells):
            _refuse("the centres of its cells are of an unknown kind")
        self._flat(size, cells)
        self._map()
        if self._take(4) != b"ilar" or self._number(8) != cells or self._number(8) != 4 * size:
            _refuse("its cells are of an unknown kind")
        lengths = self._lengths(cells)
        if int(lengths.sum(dtype=np.float64)) != count:
            _refuse("its cells hold another number of vectors than it claims")
        vectors, seen = np.empty((count, size), np.float32), np.zeros(count, bool)
        for length in lengths.tolist():
            rows = self._floats(length, size)
            numbers = np.frombuffer(self._take(8 * length), "<i8")
            if length and not 0 <= numbers.min() <= numbers.max() < count:
                _refuse("it numbers vectors that it does not hold")
            vectors[numbers], seen[numbers] = rows, True
        if not seen.all():
            _refuse("it gives two vectors the same number")
        return vectors

    def _map(self) -> None:
        """Where each vector lies; of no use here."""
        kind, length = self._number(1), self._number(8)
        if kind not in (0, 1) or length * 8 > self._left:
            _refuse("its map of vectors is of an unknown kind")
        self._take(8 * length)

    def _lengths(self, cells: int) -> np.ndarray:
        """Of every cell."""
        kind, length = self._take(4), self._number(8)
        if kind not in (b"full", b"sprs") or length > 2 * cells or length * 8 > self._left:
            _refuse("its cells are of an unknown kind")
        numbers = np.frombuffer(self._take(8 * length), "<u8")
        if kind == b"sprs":
            if length % 2 or not np.all(np.diff(numbers[::2].astype(np.float64)) > 0):
                _refuse("its list of cells is malformed")
            if length and numbers[-2] >= cells:
                _refuse("it fills cells that it does not have")
            numbers = numbers[1::2]
        elif length != cells:
            _refuse("its list of cells is malformed")
        if numbers.max(initial=0) > self._left:
            _refuse("it claims cells longer than the file")
        return numbers

    def _floats(self, rows: int, size: int) -> np.ndarray:
        return np.frombuffer(self._take(4 * rows * size), "<f4").reshape(rows, size).astype(np.float32)

    def _number(self, width: int) -> int:
        return int.from_bytes(self._take(width), "little")

    def _take(self, count: int) -> bytes:
        if count > self._left:
            _refuse("it ends too early; the download may have been cut off")
        self._left -= count
        data = self._file.read(count)
        if len(data) != count:
            _refuse("it ends too early; the download may have been cut off")
        return data


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)
