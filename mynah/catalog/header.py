"""The head of a safetensors file: what it says is inside, read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mynah.catalog.limits import Limits
from mynah.core.errors import BadCheckpoint

_HEAD_BYTES = 64 << 20
_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
# What torch calls the types.
CODES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "float8_e5m2": "F8_E5M2", "float8_e4m3fn": "F8_E4M3", "uint16": "U16",
    "int16": "I16", "float16": "F16", "bfloat16": "BF16", "uint32": "U32", "int32": "I32", "float32": "F32",
    "uint64": "U64", "int64": "I64", "float64": "F64", "complex64": "C64",
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What a safetensors file says about itself.

    Attributes:
        shapes: Of every tensor, by name.
        dtypes: Such as `"F16"`, by name.
        metadata: Free text, by name.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]


def read_header(path: Path | str, limits: Limits | None = None) -> Header:
    """The head of a safetensors file, checked: every tensor lies inside the file and no two overlap.

    Raises:
        BadCheckpoint: It is none, is damaged, or is over the limits.
    """
    limits = limits or Limits()
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            count = int.from_bytes(file.read(8), "little")
            if size < 10 or count > min(_HEAD_BYTES, size - 8):
                _refuse(path, "it is truncated, or no safetensors file")
            head = json.loads(file.read(count).decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadCheckpoint):
            raise
        raise BadCheckpoint(f"{path}: cannot be read as safetensors: its head is no JSON") from error
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from error
    return _checked(path, head, size - 8 - count, limits)


def _checked(path: Path, head: object, room: int, limits: Limits) -> Header:
    if not isinstance(head, dict):
        _refuse(path, "its head is no dictionary")
    metadata = head.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        _refuse(path, "its metadata is no text")
    if len(head) > limits.tensors:
        _refuse(path, f"it claims {len(head)} tensors")
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    spans = []
    for name, entry in head.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            _refuse(path, f"tensor {name[:80]!r} is described wrongly")
        dtype, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
        if dtype not in _BYTES:
            _refuse(path, f"tensor {name[:80]!r} has the unknown type {str(dtype)[:20]!r}")
        if not _counts(shape) or len(shape) > limits.dimensions or not _counts(span) or len(span) != 2:
            _refuse(path, f"tensor {name[:80]!r} has an impossible shape")
        elements = 1
        for length in shape:
            elements *= length
        if span[1] - span[0] != elements * _BYTES[dtype] or span[1] > room:
            _refuse(path, f"tensor {name[:80]!r} does not fit the file; the download may have been cut off")
        shapes[name], dtypes[name] = tuple(shape), dtype
        spans.append(tuple(span))
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            _refuse(path, "its tensors overlap or leave gaps")
        end = stop
    if end != room:
        _refuse(path, "it has bytes that belong to no tensor")
    return Header(shapes, dtypes, metadata)


def _counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 48 for value in values)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _refuse(path: Path, why: str) -> NoReturn:
    raise BadCheckpoint(f"{path}: cannot be read as safetensors: {why}")
