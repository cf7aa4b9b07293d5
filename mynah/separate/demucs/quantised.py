"""Quantised weights made whole again: what DiffQ packs into a few bits each (arXiv 2104.09987).

A quantiser goes through the parameters of a net in order. Small ones it leaves alone; the others it stores as levels
between their least and greatest value, all on as many bits (uniform), or on a number of bits learnt for each group of
neighbours (differentiable). Levels of equally many bits are packed together, bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NoReturn

import torch
from torch import Tensor

from mynah.catalog.pickles import Foreign
from mynah.core.errors import BadCheckpoint

WORD, BLOCK = 64, 32  # bits of a packed word, and how many of them stand side by side
PACKED_BITS = range(1, 15)  # the packed form has no place for groups of fifteen


def restored(state: dict[str, Any], parameters: Iterable[tuple[str, torch.Size]]) -> dict[str, Tensor]:
    """The weights of a net in float32, by name.

    Args:
        state: What a quantiser of DiffQ saved: `quantized`, `float16`, `others` and `meta`.
        parameters: Names and shapes of the net's own, in its own order.

    Raises:
        BadCheckpoint: Made for another net, or malformed.
    """
    meta = state.get("meta")
    settings = meta.get("init_kwargs") if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or not isinstance(settings, dict):
        _refuse("it does not say how its weights were quantised")
    least, exclude = settings.get("min_size", 0.01), settings.get("exclude", [])
    if type(least) not in (int, float) or not isinstance(exclude, list | tuple):
        _refuse("it does not say which of its weights were quantised")
    small = "float16" if settings.get("float16") else "others"
    left: dict[str, list[Any]] = {}
    for kind in ("quantized", small):
        stored = state.get(kind)
        if not isinstance(stored, list | tuple):
            _refuse(f"its list of {kind} weights is missing")
        left[kind] = list(stored)

    weights = {}
    for name, shape in parameters:
        kept_whole = any(fnmatchcase(full, str(pattern)) for pattern in exclude for full in (name, name.split(".")[-1]))
        whole = kept_whole or shape.numel() <= least * 2**20 // 4
        part = left[small if whole else "quantized"]
        if not part:
            _refuse(f"it holds fewer weights than the net: {name} is missing")
        stored = part.pop(0)
        if not whole:
            weights[name] = _restored(stored, shape.numel(), meta, settings).reshape(shape)
        elif isinstance(stored, Tensor) and stored.shape == shape:
            weights[name] = stored.float()
        else:
            _refuse(f"its weights do not fit the net: {name} is of another shape")
    if any(left.values()):
        _refuse("it holds more weights than the net")
    return weights


def _restored(stored: Any, count: int, meta: dict[str, Any], settings: dict[str, Any]) -> Tensor:
    if not isinstance(stored, tuple | list) or len(stored) not in (2, 3):
        _refuse("its quantised weights are malformed")
    scale = stored[1]
    if not isinstance(scale, tuple | list) or len(scale) != 2 or not all(type(end) in (int, float) for end in scale):
        _refuse("its quantised weights have no range")
    low, high = scale
    if not math.isfinite(low) or not math.isfinite(high):
        _refuse("its quantised weights have no range")
    uniform = len(stored) == 2
    klass = meta.get("klass")
    if isinstance(klass, Foreign) and klass.name.endswith("UniformQuantizer") != uniform:
        _refuse(f"its weights were quantised by {klass.name[:80]}, which is not what they look like")
    if uniform:
        bits = torch.full((1, 1), _number(settings, "bits", 8))
        levels = _unpacked(stored[0], count, meta) if meta.get("packed") else _whole(stored[0], count)
        levels = levels.reshape(1, -1)
    else:
        levels, bits = _grouped(stored, count, meta, settings)
    if bits.min() < 1 or bits.max() > 15:
        _refuse("its weights are quantised to an impossible number of bits")
    return levels.float() * (1 / (2 ** bits.float() - 1)) * (high - low) + low


def _grouped(
    stored: Sequence[Any], count: int, meta: dict[str, Any], settings: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Levels `[group, weight]` and bits `[group, 1]`."""
    size = _number(settings, "group_size", 1) or count
    groups, over = divmod(count, size)
    if over:
        _refuse("its weights do not fall into groups")
    if not meta.get("packed"):
        return _whole(stored[0], count).reshape(groups, size), _whole(stored[2], groups).long().reshape(groups, 1)
    bits = _unpacked(stored[2], groups, meta).long() + _number(settings, "min_bits", 2)
    if not isinstance(stored[0], list | tuple) or len(stored[0]) != len(PACKED_BITS):
        _refuse("its packed weights are malformed")
    levels = torch.zeros(groups, size, dtype=torch.int16)
    found = 0
    for bit, packed in zip(PACKED_BITS, stored[0], strict=True):
        mine = bits == bit
        if packed is not None:
            levels[mine] = _unpacked(packed, int(mine.sum()) * size, meta).reshape(-1, size)
            found += int(mine.sum())
    if found != groups:
        _refuse("some of its packed weights are missing")
    return levels, bits[:, None]


def _unpacked(packed: Any, count: int, meta: dict[str, Any]) -> Tensor:
    """`[count]` levels, int16."""
    if meta.get("torch_pack"):
        return _by_columns(packed, count)
    if not isinstance(packed, Tensor) or packed.dtype != torch.int64 or packed.ndim != 3 or packed.shape[1] > 15:
        _refuse("its packed weights are malformed")
    lines, depth, block = packed.shape
    if not count <= lines * WORD * block < count + WORD * BLOCK + 1:
        _refuse("its packed weights are of another length than the net's")
    at = torch.arange(WORD)[:, None]
    levels = torch.zeros(lines, WORD, block, dtype=torch.int16)
    for bit in range(depth):
        levels |= ((packed[:, bit, None] >> at) & 1).to(torch.int16) << bit
    return levels.flatten()[:count]


def _by_columns(packed: Any, count: int) -> Tensor:
    """The layout of DiffQ's second packer, which is made of torch alone."""
    sizes = {torch.uint8: 8, torch.int16: 16, torch.int32: 32, torch.int64: 64}
    if not isinstance(packed, Tensor) or packed.dtype not in sizes or packed.ndim != 2 or packed.shape[0] > 15:
        _refuse("its packed weights are malformed")
    depth, columns = packed.shape
    word = sizes[packed.dtype]
    if not count <= word * columns < count + word + 1:
        _refuse("its packed weights are of another length than the net's")
    at = torch.arange(word)[:, None]
    levels = torch.zeros(word, columns, dtype=torch.int16)
    for bit in range(depth):
        levels |= ((packed[bit].long()[None] >> at) & 1).to(torch.int16) << bit
    return levels.flatten()[:count]


def _whole(levels: Any, count: int) -> Tensor:
    if not isinstance(levels, Tensor) or levels.is_floating_point() or levels.numel() != count:
        _refuse("its quantised weights are of another length than the net's")
    return levels


def _number(settings: dict[str, Any], name: str, otherwise: int) -> int:
    value = settings.get(name, otherwise)
    if type(value) not in (int, float) or value != int(value) or not 0 <= value < 1 << 20:
        _refuse(f"it does not say how its weights were quantised ({name})")
    return int(value)


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)
