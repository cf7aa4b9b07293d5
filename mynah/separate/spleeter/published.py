"""Spleeter's checkpoints: the published archives and the bundles of TensorFlow in them, and our own files."""

from __future__ import annotations

import errno
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_safetensors
from mynah.catalog.limits import Limits
from mynah.catalog.packed import GZIP, unpacked
from mynah.catalog.tensorflow import load_bundle
from mynah.catalog.weights import locate
from mynah.core.errors import BadCheckpoint, NoSpace
from mynah.core.system import Weights

_HEAD = 512  # bytes, of a member of a tar file, whose content is filled up to a multiple of it
_BLOCK = 1 << 20  # bytes
_WANTED = re.compile(r"checkpoint|\w[\w.-]*\.(?:index|data-\d{5}-of-\d{5})", re.ASCII)
_BESIDE = re.compile(r"(?:.*/Adam(?:_\d+)?|beta[12]_power|global_step)")  # what training kept for itself
_DOWN, _UP, _NORMS = 6, 6, 12  # layers of one net
_PARTS = {
    "kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var",
}  # fmt: skip


def read(spec: str, known: Mapping[str, Weights]) -> dict[str, Tensor]:
    """The tensors behind what a person typed, in the layout that they are stored in; an optimiser's own are left out.

    Args:
        spec: A published name, or a path: of an archive `.tar.gz`, a folder with a bundle, one of the bundle's files or
            their common beginning, or a `.safetensors`.
        known: What is published.

    Raises:
        BadOption: Neither a name nor a path.
        BadCheckpoint: Damaged, hostile or something else.
        Offline: A published name whose archive is not on this machine and cannot be fetched; says how to bring it.
        NoSpace: The disk has no room to unpack the archive.
    """
    path = Path(spec).expanduser()
    if spec not in known and (path.is_dir() or path.with_name(f"{path.name}.index").is_file()):
        return load_bundle(path, wanted=_is_a_net)
    path = locate(spec, known)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from error
    if start.startswith(GZIP):
        with tempfile.TemporaryDirectory(prefix="mynah-") as folder:
            unpack(path, Path(folder))
            try:
                return load_bundle(folder, wanted=_is_a_net)
            except BadCheckpoint as error:
                # The folder will be gone when somebody reads this.
                raise BadCheckpoint(f"{path}: {str(error).replace(folder, 'in it')}") from error
    if start[8:] == b"{":
        return load_safetensors(path)
    return load_bundle(path, wanted=_is_a_net)


def unpack(archive: Path, folder: Path) -> None:
    """Put the files of the checkpoint that is in a `.tar.gz` into a folder, and nothing else.

    Only plain files whose names are those of checkpoints are written, without the folders that the archive has them
    in, so that nothing lands anywhere else.

    Raises:
        BadCheckpoint: Damaged, cut off, twice the same file, or far larger unpacked than packed.
        NoSpace: The disk ran full.
    """
    try:
        with archive.open("rb") as packed, unpacked(packed, archive.stat().st_size, Limits()) as plain:
            end = plain.stat().st_size
            with plain.open("rb") as tar:
                while (head := tar.read(_HEAD)) and head.strip(b"\0"):
                    member = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
                    start, name = tar.tell(), PurePosixPath(member.name).name
                    if not 0 <= member.size <= end - start:
                        raise BadCheckpoint(f"it is cut off in {name[:80]!r}")
                    if member.isreg() and _WANTED.fullmatch(name):
                        # "x" refuses a second file of that name.
                        with (folder / name).open("xb") as file:
                            file.writelines(_content(tar, member.size))
                    tar.seek(start + member.size + -member.size % _HEAD)
    except FileExistsError as error:
        raise BadCheckpoint(f"{archive}: its archive holds {Path(error.filename).name!r} twice") from error
    except (BadCheckpoint, tarfile.TarError) as error:
        raise BadCheckpoint(f"{archive}: cannot be read as an archive: {error}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NoSpace(f"the disk that holds {folder} is full: {archive.name} cannot be unpacked") from error
        raise


def remap(state: Mapping[str, Tensor], variants: Mapping[int, Sequence[str]]) -> dict[str, Tensor]:
    """From TensorFlow's names and layouts to ours.

    Layers are numbered through all nets in the order in which these were made. Net `k` begins at `conv2d_{7k}` (six on
    the way down, and the last layer), at `conv2d_transpose_{6k}`, and at `batch_normalization_{12k}` (six on the way
    down, six up). The sixth normalisation is in the checkpoint, but nothing hears it, and we have none.

    Args:
        state: By TensorFlow's name.
        variants: By the number of stems, their names in order.

    Raises:
        BadCheckpoint: As many nets as no variant has.
    """
    count = sum(name.startswith("conv2d") and name.endswith("/kernel") for name in state) / (_DOWN + 1 + _UP)
    if count not in variants:
        raise BadCheckpoint(f"a checkpoint of Spleeter has nets for {_either(variants)} stems, not for {count:g}")
    rename: dict[str, str] = {}
    for number, stem in enumerate(variants[int(count)]):
        for layer in range(_DOWN + 1):
            rename[_numbered("conv2d", number * (_DOWN + 1) + layer)] = (
                f"{stem}.down.{layer}" if layer < _DOWN else f"{stem}.mask"
            )
        for layer in range(_UP):
            rename[_numbered("conv2d_transpose", number * _UP + layer)] = f"{stem}.up.{layer}"
        for layer in range(_NORMS):
            rename[_numbered("batch_normalization", number * _NORMS + layer)] = (
                f"{stem}.down_norm.{layer}" if layer < _DOWN else f"{stem}.up_norm.{layer - _DOWN}"
            )
    ours: dict[str, Tensor] = {}
    for name, tensor in state.items():
        parent, _, part = name.rpartition("/")
        place = rename.get(parent, parent)
        if place.endswith(f".down_norm.{_DOWN - 1}") or not _is_a_net(name):
            continue
        # Kernels are [height, width, in, out], and those of transposed convolutions [height, width, out, in].
        ours[f"{place}.{_PARTS.get(part, part)}"] = tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor
        if part == "moving_mean":
            ours[f"{place}.num_batches_tracked"] = torch.tensor(0)
    return ours


def is_published(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are TensorFlow's."""
    return any("/" in name for name in state)


def _is_a_net(name: str) -> bool:
    return not _BESIDE.fullmatch(name)


def _numbered(layer: str, number: int) -> str:
    return f"{layer}_{number}" if number else layer


def _either(variants: Iterable[int]) -> str:
    *few, last = map(str, sorted(variants))
    return f"{', '.join(few)} or {last}"


def _content(file: BinaryIO, size: int) -> Iterator[bytes]:
    for left in range(size, 0, -_BLOCK):
        yield file.read(min(_BLOCK, left))
