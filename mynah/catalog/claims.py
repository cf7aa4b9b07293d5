"""Tensors made from what a pickle claims about them, once the claims are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor

from mynah.catalog.limits import Limits
from mynah.catalog.pickles import Foreign, Name, StorageClaim, TensorClaim
from mynah.core.errors import BadCheckpoint

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool, torch.complex64, torch.complex128, torch.uint16, torch.uint32, torch.uint64,
        torch.float8_e4m3fn, torch.float8_e5m2,
    )
}  # fmt: skip
_PLAIN = (str, bytes, int, float, bool, type(None))


def storage_bytes(claim: StorageClaim) -> int:
    """How many bytes a stored block must have."""
    return claim.count * _DTYPES[claim.dtype].itemsize


class Builder:
    """Turns a described tree into plain containers and tensors.

    Args:
        bytes_of: Gives the stored bytes behind a claim, of exactly `storage_bytes(claim)`; None for tensors that have a
            shape but no data.
        limits: What is refused for its size.
        room: Bytes that all stored blocks together may have.
    """

    def __init__(self, bytes_of: Callable[[StorageClaim], bytearray] | None, limits: Limits, room: int) -> None:
        self._bytes_of = bytes_of
        self._limits = limits
        self._room = room
        self._most = limits.reuse * room + (64 << 20)
        self._claimed = 0
        self._stored: dict[str, tuple[int, Tensor]] = {}
        self._nodes = self._tensors = 0

    def build(self, value: Any, depth: int = 0) -> Any:
        """The tree below `value`: `dict`, `list`, `tuple`, plain values, tensors, and inert `Foreign` objects.

        Raises:
            BadCheckpoint: A tensor that does not fit its stored bytes, or a tree over the limits.
        """
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            _refuse("it describes more values than any checkpoint holds")
        if depth > self._limits.depth:
            _refuse("it is nested more deeply than any checkpoint")
        if isinstance(value, TensorClaim):
            return self._tensor(value)
        if type(value) in _PLAIN:
            return value
        if type(value) is dict:
            return {self.build(key, depth + 1): self.build(part, depth + 1) for key, part in value.items()}
        if type(value) is list:
            return [self.build(part, depth + 1) for part in value]
        if type(value) is tuple:
            return tuple(self.build(part, depth + 1) for part in value)
        if isinstance(value, Name):
            return Foreign(value.name)
        if isinstance(value, Foreign):
            return Foreign(
                value.name,
                self.build(value.args, depth + 1),
                self.build(value.state, depth + 1),
                self.build(value.items, depth + 1),
                self.build(value.entries, depth + 1),
            )
        if isinstance(value, StorageClaim):
            return Foreign("torch.storage")
        _refuse("its description is malformed")

    def _tensor(self, claim: TensorClaim) -> Tensor:
        self._tensors += 1
        if self._tensors > self._limits.tensors:
            _refuse("it holds more tensors than any checkpoint")
        storage, dtype = claim.storage, _DTYPES.get(claim.dtype)
        if not isinstance(storage, StorageClaim) or dtype is None:
            _refuse("it holds a tensor of an unknown type")
        size, stride, offset = claim.size, claim.stride, claim.offset
        if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
            _refuse("it holds a tensor without a proper shape")
        if len(size) > self._limits.dimensions:
            _refuse(f"it holds a tensor of {len(size)} dimensions")
        if any(type(number) is not int or not 0 <= number < 1 << 48 for number in (*size, *stride, offset)):
            _refuse("it holds a tensor with an impossible size, stride or offset")
        last, elements = offset, 1
        for length, step in zip(size, stride, strict=True):
            last += (length - 1) * step
            elements *= length
        stored = storage_bytes(storage) // dtype.itemsize
        if elements and last >= stored:
            _refuse("it holds a tensor that reaches beyond its stored data")
        self._claimed += elements * dtype.itemsize
        if self._claimed > self._most:
            _refuse("its tensors claim far more data than it holds")
        if not elements:
            return torch.empty(size, dtype=dtype)
        if self._bytes_of is None:
            return torch.empty(size, dtype=dtype, device="meta")
        block = self._block(storage)
        if dtype is torch.bool:
            block.clamp_(max=1)  # other bytes than 0 and 1 would be neither true nor false
        return block[: stored * dtype.itemsize].view(dtype).as_strided(size, stride, offset)

    def _block(self, claim: StorageClaim) -> Tensor:
        """The stored bytes, flat; read once."""
        count = storage_bytes(claim)
        if claim.key in self._stored:
            known, block = self._stored[claim.key]
            if known != count:
                _refuse("it claims two sizes for the same stored data")
            return block
        self._room -= count
        if self._room < 0:
            _refuse("it claims more stored data than it has")
        assert self._bytes_of is not None  # else nobody asks for blocks
        block = torch.frombuffer(self._bytes_of(claim), dtype=torch.uint8)
        self._stored[claim.key] = count, block
        return block


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)
