"""Arrays that NumPy wrote (`.npy`), read without running anything: objects are refused, and sizes checked first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
import torch
from torch import Tensor

from mynah.core.errors import BadCheckpoint

MOST_BYTES = 64 << 20
_HEADS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def shape_of(path: Path | str) -> tuple[int, ...]:
    """Of an array of floats, without its data.

    Raises:
        BadCheckpoint: No such array, truncated, or of anything but floats.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _head(file, path)[0]
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from error


def read_array(path: Path | str) -> Tensor:
    """An array of floats, as float32.

    Raises:
        BadCheckpoint: As for `shape_of`, or with values that are not numbers.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            shape, turned, dtype = _head(file, path)
            flat = np.frombuffer(file.read(), dtype).astype(np.float32)
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from error
    array = torch.from_numpy(flat.reshape(shape, order="F" if turned else "C").copy())
    if not array.isfinite().all():
        raise BadCheckpoint(f"{path}: holds values that are not numbers (NaN or infinite)")
    return array


def _head(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type; the file is as long as they say."""
    try:
        version = np.lib.format.read_magic(file)
        shape, turned, dtype = _HEADS[version](file)
    except (ValueError, KeyError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise BadCheckpoint(f"{path}: is no array that NumPy wrote, or a damaged one") from error
    if dtype.hasobject:
        _refuse(path, "holds Python objects instead of numbers; they were not read")
    if dtype.kind != "f" or dtype.itemsize > 8:
        _refuse(path, f"holds {str(dtype)[:40]} instead of floating point numbers")
    begun = file.tell()
    held = file.seek(0, 2) - begun
    file.seek(begun)
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != held or held > MOST_BYTES:
        _refuse(path, "has another length than it claims; the download may have been cut off")
    return shape, turned, dtype


def _refuse(path: Path, why: str) -> NoReturn:
    raise BadCheckpoint(f"{path}: {why}")
