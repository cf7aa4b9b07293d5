"""Checkpoints of TensorFlow (the V2 bundles: `.index` and `.data-00000-of-00001`), read without TensorFlow.

The index is a sorted table of names; each value says type, shape, shard, place, size and checksum of one tensor.
Nothing in a bundle can run anything. Everything is checked before memory is spent on it: a tensor's size must follow
from its shape, lie inside its shard, and overlap no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from mynah.catalog.crc32c import crc32c, masked
from mynah.catalog.limits import Limits
from mynah.catalog.sstable import pairs, varint
from mynah.core.errors import BadCheckpoint

_DTYPES = {
    1: torch.float32, 2: torch.float64, 3: torch.int32, 4: torch.uint8, 5: torch.int16, 6: torch.int8,
    8: torch.complex64, 9: torch.int64, 10: torch.bool, 14: torch.bfloat16, 17: torch.uint16, 18: torch.complex128,
    19: torch.float16, 22: torch.uint32, 23: torch.uint64,
}  # fmt: skip
_TEXT = 7
_VERSION = 1
_SHARDS = 10_000
_LIST_BYTES = 1 << 20  # of the text file `checkpoint`
_NEWEST = re.compile(r'^\s*model_checkpoint_path\s*:\s*"([^"]*)"', re.MULTILINE)
_SHARD = re.compile(r"\.data-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class _Entry:
    """What the index says about one tensor; checked against its shard when it is read."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


def load_bundle(
    path: Path | str, limits: Limits | None = None, *, wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, Tensor]:
    """The variables of a TensorFlow checkpoint, by name, in the types and the layout that they are stored in.

    Args:
        path: What the files have in common (`folder/model` for `model.index` and `model.data-00000-of-00001`); one of
            these files; or the folder, whose text file `checkpoint` names the newest, or which holds a single one.
        limits: What is refused for its size.
        wanted: Told a name, says whether to read it: an optimiser's own variables can stay on disk.

    Returns:
        Tensors on the CPU in the order of their names. Variables of text, which TensorFlow 2 adds for its own use,
        are left out.

    Raises:
        BadCheckpoint: Truncated, damaged, hostile, over the limits, big-endian, of variables cut into slices, or none.

    Source: tensorflow/core/util/tensor_bundle and tensorflow/core/protobuf/tensor_bundle.proto of TensorFlow 2.
    """
    path, limits = Path(path), limits or Limits()
    index = index_of(path)
    try:
        shards, entries = _read_index(index, limits)
        chosen = [entry for entry in entries if wanted(entry.name)]
        return dict(_tensors(index, shards, chosen, limits))
    except OSError as error:
        raise BadCheckpoint(f"{error.filename or index}: cannot be read ({error.strerror})") from error
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{index}: cannot be read as a checkpoint of TensorFlow: {error}") from error


def index_of(path: Path | str) -> Path:
    """The `.index` file of the bundle that a path means, as `load_bundle` takes it.

    Raises:
        BadCheckpoint: There is none.
    """
    path = Path(path)
    if path.is_dir():
        return _newest(path)
    stem = _SHARD.sub("", path.name).removesuffix(".meta").removesuffix(".index")
    index = path.with_name(f"{stem}.index") if stem else path
    if not index.is_file():
        raise BadCheckpoint(f"{path}: no checkpoint of TensorFlow: there is no {index.name} beside it")
    return index


def _newest(folder: Path) -> Path:
    """Only the last part of the name in `checkpoint` counts: it often holds a path of the machine that wrote it."""
    listed = folder / "checkpoint"
    if listed.is_file():
        try:
            if listed.stat().st_size > _LIST_BYTES:
                raise BadCheckpoint(f"{listed}: is no list of checkpoints: it is too large")
            found = _NEWEST.search(listed.read_text("utf-8", "replace"))
        except OSError as error:
            raise BadCheckpoint(f"{listed}: cannot be read ({error.strerror})") from error
        stem = re.split(r"[/\\]", found[1])[-1] if found else ""
        if not stem or stem in (".", "..") or not stem.isprintable():
            raise BadCheckpoint(f"{listed}: names no checkpoint")
        index = folder / f"{stem}.index"
        if not index.is_file():
            raise BadCheckpoint(f"{folder}: its list names {stem!r}, but there is no {index.name}")
        return index
    indices = sorted(folder.glob("*.index"))
    if len(indices) != 1:
        raise BadCheckpoint(f"{folder}: holds {len(indices) or 'no'} checkpoints of TensorFlow: name the .index file")
    return indices[0]


def _read_index(index: Path, limits: Limits) -> tuple[int, list[_Entry]]:
    if index.stat().st_size > limits.pickle_bytes:
        _refuse("its index is larger than any checkpoint's")
    table = pairs(index.read_bytes(), limits.pickle_bytes)
    key, value = next(table, (None, b""))
    if key != b"":
        _refuse("its index does not begin with a description")
    shards = _shards(value)
    entries = []
    for count, (key, value) in enumerate(table, 1):
        if count > limits.tensors:
            _refuse("it holds more tensors than any checkpoint")
        if key.startswith(b"\0"):
            _refuse("it holds slices of tensors; save it with whole variables")
        try:
            name = key.decode("utf-8")
        except UnicodeDecodeError:
            _refuse("it holds a name that is no text")
        if entry := _entry(name, value, shards, limits):
            entries.append(entry)
    return shards, entries


def _shards(header: bytes) -> int:
    shards = 0
    for field, number in _fields(header):
        if field == 1:
            shards = _whole(number)
        elif field == 2 and number != 0:
            _refuse("it was written on a big-endian machine")
        elif field == 3:
            needed = [_whole(value) for part, value in _fields(_message(number)) if part == 2]
            if any(version > _VERSION for version in needed):
                _refuse("it was written by a TensorFlow too new for this reader")
    if not 0 < shards <= _SHARDS:
        _refuse(f"it claims {shards} files of data")
    return shards


def _entry(name: str, described: bytes, shards: int, limits: Limits) -> _Entry | None:
    """`None` for text."""
    code = shard = offset = size = crc = 0
    shape: tuple[int, ...] = ()
    for field, value in _fields(described):
        if field == 2:
            shape = _shape(name, _message(value))
        elif field == 7:
            _refuse(f"{name[:80]!r} is cut into slices; save it with whole variables")
        elif field in (1, 3, 4, 5, 6):
            number = _whole(value)
            if field == 1:
                code = number
            elif field == 3:
                shard = number
            elif field == 4:
                offset = number
            elif field == 5:
                size = number
            else:
                crc = number
    if code == _TEXT:
        return None
    dtype = _DTYPES.get(code)
    if dtype is None:
        _refuse(f"{name[:80]!r} is of the unknown type {code}")
    if len(shape) > limits.dimensions:
        _refuse(f"{name[:80]!r} has {len(shape)} dimensions")
    if shard >= shards or offset >= 1 << 48 or size >= 1 << 48:
        _refuse(f"{name[:80]!r} lies at an impossible place")
    if any(length >= 1 << 48 for length in shape) or size != prod(shape) * dtype.itemsize:
        _refuse(f"{name[:80]!r} has a size that does not follow from its shape")
    return _Entry(name, dtype, shape, shard, offset, size, crc)


def _shape(name: str, described: bytes) -> tuple[int, ...]:
    lengths = []
    for field, value in _fields(described):
        if field == 2:
            # A length of 0 is not written at all.
            length = 0
            for part, number in _fields(_message(value)):
                if part == 1:
                    length = _whole(number)
            lengths.append(length)
        elif field == 3 and value:
            _refuse(f"{name[:80]!r} has no shape")
    return tuple(lengths)


def _tensors(index: Path, shards: int, entries: list[_Entry], limits: Limits) -> Iterator[tuple[str, Tensor]]:
    files: dict[int, BufferedReader] = {}
    room = limits.file_bytes
    try:
        for shard in sorted({entry.shard for entry in entries}):
            path = index.with_name(f"{index.name.removesuffix('.index')}.data-{shard:05d}-of-{shards:05d}")
            if not path.is_file():
                _refuse(f"{path.name} is missing")
            files[shard] = path.open("rb")
            stored = path.stat().st_size
            room -= stored
            if room < 0:
                _refuse("its files are larger than any checkpoint's")
            behind = 0
            for entry in sorted((one for one in entries if one.shard == shard), key=lambda one: (one.offset, one.size)):
                if entry.offset < behind:
                    _refuse(f"{entry.name[:80]!r} overlaps another tensor")
                behind = entry.offset + entry.size
                if behind > stored:
                    _refuse(f"{path.name} is too short for {entry.name[:80]!r}; the download may have been cut off")
        for entry in entries:
            yield entry.name, _tensor(files[entry.shard], entry)
    finally:
        for file in files.values():
            file.close()


def _tensor(file: BufferedReader, entry: _Entry) -> Tensor:
    content = bytearray(entry.size)
    file.seek(entry.offset)
    if file.readinto(content) != entry.size:
        _refuse(f"it ends within {entry.name[:80]!r}; the download may have been cut off")
    if masked(crc32c(content)) != entry.crc:
        _refuse(f"{entry.name[:80]!r} is damaged (wrong checksum)")
    if not content:
        return torch.empty(entry.shape, dtype=entry.dtype)
    stored = torch.frombuffer(content, dtype=torch.uint8)
    if entry.dtype is torch.bool:
        stored.clamp_(max=1)  # other bytes than 0 and 1 would be neither true nor false
    return stored.view(entry.dtype).reshape(entry.shape)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        field, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == 0:
            value, at = varint(message, at)
        elif kind in (1, 2, 5):
            size = {1: 8, 5: 4}.get(kind, 0)
            if kind == 2:
                size, at = varint(message, at)
            if size > len(message) - at:
                _refuse("a description in its index is cut off")
            raw = message[at : at + size]
            value = raw if kind == 2 else int.from_bytes(raw, "little")
            at += size
        else:
            _refuse("a description in its index is malformed")
        yield field, value


def _whole(value: int | bytes) -> int:
    if not isinstance(value, int) or value >= 1 << 63:  # negative ones have their highest bit set
        _refuse("a description in its index is malformed")
    return value


def _message(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        _refuse("a description in its index is malformed")
    return value


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)
