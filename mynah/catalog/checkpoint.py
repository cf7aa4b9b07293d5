"""Checkpoints in and out: foreign ones read safely, ours as safetensors, modules filled strictly.

`torch.load` runs what a file says; its `weights_only` mode refuses unknown classes instead, and with them
half of the checkpoints that people share. So foreign files are read by `mynah.catalog.pickles`, which can run nothing.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mynah.catalog.archive import Archive
from mynah.catalog.claims import Builder, storage_bytes
from mynah.catalog.header import CODES, Header, read_header
from mynah.catalog.limits import Limits
from mynah.catalog.packed import GZIP, unpacked
from mynah.catalog.pickles import Foreign, Reader, StorageClaim
from mynah.core.atomic import replacing
from mynah.core.errors import BadCheckpoint

M = TypeVar("M", bound=nn.Module)

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_SHOWN = 3  # keys named in a message


def load_foreign(path: Path | str, limits: Limits | None = None) -> dict[str, Any]:
    """A checkpoint of somebody else: `.pth`, `.pt`, `.ckpt`, `.th`, `.bin` of any torch since 0.4, or safetensors.

    Args:
        path: The suffix does not matter; the content does. Gzip around it is taken off.
        limits: What is refused for its size.

    Returns:
        What was saved: tensors on the CPU (which may share memory, as they did when saved), plain values, `dict`,
        `list` and `tuple` of them. Sets come as lists, and an object of any other class as an inert
        `mynah.catalog.pickles.Foreign`.

    Raises:
        BadCheckpoint: Truncated, hostile, over the limits, no checkpoint at all, or one that is no dictionary.
    """
    loaded = load_tree(path, limits)
    if not isinstance(loaded, dict):
        raise BadCheckpoint(f"{path}: cannot be read as a checkpoint: it holds no dictionary of weights")
    return loaded


def load_tree(path: Path | str, limits: Limits | None = None) -> Any:
    """As `load_foreign`, for the few who saved something else than a dictionary, such as a tuple that holds one.

    Raises:
        BadCheckpoint: Truncated, hostile, over the limits, or no checkpoint at all.
        NoSpace: What was compressed does not fit the disk.
    """
    return _told(path, limits, data=True)


def _told(path: Path | str, limits: Limits | None, *, data: bool) -> Any:
    path, limits = Path(path), limits or Limits()
    try:
        return _load(path, limits, data=data)
    except BadCheckpoint as error:
        if str(error).startswith(str(path)):
            raise
        raise BadCheckpoint(f"{path}: cannot be read as a checkpoint: {error}") from error


def outline(path: Path | str, limits: Limits | None = None) -> Any:
    """As `load_tree`, but quick: tensors have a shape and a type, and no data (torch's device `meta`).

    Raises:
        BadCheckpoint: As far as that can be told without the data.
        NoSpace: What was compressed does not fit the disk.
    """
    return _told(path, limits, data=False)


def load_safetensors(path: Path | str, limits: Limits | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name, in the types they are stored in.

    Raises:
        BadCheckpoint: Damaged, over the limits, or no safetensors file.
    """
    read_header(path, limits)
    try:
        return safetensors.torch.load_file(str(path))
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise BadCheckpoint(f"{path}: cannot be read as safetensors: {error}") from error


def to_safetensors(
    state: Mapping[str, Tensor],
    path: Path | str,
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write tensors as safetensors; the same tensors give the same bytes.

    Args:
        state: By name. Tensors that share memory are written out one by one.
        path: Appears whole or not at all.
        metadata: Free text by name, such as the licence.
        dtype: Floating point tensors are converted to this; None keeps each as it is.

    Example:

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = to_safetensors({"weight": torch.ones(2)}, Path(folder) / "ones.safetensors", dtype=torch.float16)
        ...     load_safetensors(file)
        {'weight': tensor([1., 1.], dtype=torch.float16)}
    """
    path = Path(path)
    kept = {
        name: tensor.detach().to("cpu", dtype if dtype and tensor.is_floating_point() else tensor.dtype)
        for name, tensor in state.items()
    }
    # Written by hand, because the library puts metadata in another order every time. Wide types come first, so that
    # every tensor lies at a multiple of its element's size.
    order = sorted(kept, key=lambda name: (-kept[name].element_size(), name))
    head: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    end = 0
    for name in order:
        start, end = end, end + kept[name].numel() * kept[name].element_size()
        code = CODES[str(kept[name].dtype).removeprefix("torch.")]
        head[name] = {"dtype": code, "shape": list(kept[name].shape), "data_offsets": [start, end]}
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as half, half.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(kept[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return path


def load_strict(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Fill a module. Every key must be there, none may be left over, and every shape must fit.

    Values are converted to the module's own types, so that weights stored as float16 run as float32.

    Args:
        module: Changed in place, or not at all.
        state: By name.
        what: Named in the message, such as a path.

    Raises:
        BadCheckpoint: With the first few keys that are missing, surplus or of another shape; or a value is no number.
    """
    require_fit(module, state, what)
    require_numbers(state, what)
    module.load_state_dict(dict(state), strict=True)


def filled(make: Callable[[], M], state: Mapping[str, Tensor], what: str) -> M:
    """A module that is made of a state, as `load_strict`, but that takes no memory before it is filled.

    Args:
        make: Makes the module; all that it consists of has to be in its state.
        state: By name.
        what: Named in the message, such as a path.

    Raises:
        BadCheckpoint: As for `load_strict`.

    Example:

        >>> filled(lambda: nn.Linear(1, 1), {"weight": torch.ones(1, 1).half(), "bias": torch.ones(1)}, "two")(
        ...     torch.ones(1)
        ... ).item()
        2.0
    """
    with torch.device("meta"):
        module = make()
    require_fit(module, state, what)
    require_numbers(state, what)
    types = {name: value.dtype for name, value in module.state_dict().items()}
    module.load_state_dict({name: state[name].to(types[name]) for name in types}, assign=True)
    return module


def require_fit(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """As `load_strict`, but only looks: for a module on torch's device `meta`, before memory is spent on a real one.

    Raises:
        BadCheckpoint: With the first few keys that are missing, surplus or of another shape.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in state]
    surplus = [name for name in state if name not in wanted]
    misfit = [
        f"{name} {list(_shape(state[name]))} for {list(wanted[name].shape)}"
        for name in wanted
        if name in state and _shape(state[name]) != wanted[name].shape
    ]
    complaints = [
        f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
        for kind, names in (("missing", missing), ("surplus", surplus), ("of another shape", misfit))
        if names
    ]
    if complaints:
        raise BadCheckpoint(f"{what} does not fit {type(module).__name__}: {'; '.join(complaints)}")


def require_numbers(state: Mapping[str, Tensor], what: object) -> None:
    """What was not trained to its end, or not written to its end, sings nothing but silence or noise.

    Raises:
        BadCheckpoint: The first tensor that holds NaN or infinity.
    """
    for name, value in state.items():
        # A sum is soon made, and is no number where one of many is none; only then is it worth looking closely.
        if value.is_floating_point() and not value.sum().isfinite() and not value.isfinite().all():
            raise BadCheckpoint(f"{what}: {name[:80]} holds values that are not numbers (NaN or infinite)")


def _shape(value: object) -> tuple[int, ...] | torch.Size:
    return value.shape if isinstance(value, Tensor) else (-1,)


def _load(path: Path, limits: Limits, *, data: bool, packed: bool = False) -> Any:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from error
    if size > limits.file_bytes:
        _refuse(f"it has {size / 1e9:.0f} GB")
    # First, because the length that it begins with may look like the beginning of a pickle.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < size:
        return dict(load_safetensors(path, limits)) if data else _shapes(read_header(path, limits))
    if start.startswith(b"PK\x03\x04"):
        loaded = _load_zip(path, limits, data)
    elif start.startswith(b"\x80") and len(start) > 2:
        loaded = _load_legacy(path, size, limits, data)
    elif start.startswith(GZIP) and not packed:
        with path.open("rb") as file, unpacked(file, size, limits) as plain:
            return _load(plain, limits, data=data, packed=True)
    else:
        _refuse(_what_else(start))
    if isinstance(loaded, Foreign):
        _refuse(f"it is a whole object ({loaded.name}); save its state_dict() instead")
    return loaded


def _shapes(header: Header) -> dict[str, Tensor]:
    types = {code: getattr(torch, name) for name, code in CODES.items()}
    return {
        name: torch.empty(shape, dtype=types[header.dtypes[name]], device="meta")
        for name, shape in header.shapes.items()
    }


def _load_zip(path: Path, limits: Limits, data: bool) -> Any:
    with Archive(path, limits) as archive:
        roots = [f"{name.parts[0]}/" for name in map(PurePosixPath, archive.sizes) if name.parts[1:] == ("data.pkl",)]
        if len(roots) != 1:
            _refuse("it is a zip archive, but not one that torch wrote")
        [root] = roots
        if root + "byteorder" in archive.sizes and archive.read(root + "byteorder").strip() != b"little":
            _refuse("it was written on a big-endian machine")
        if archive.sizes[root + "data.pkl"] > limits.pickle_bytes:
            _refuse("its description is larger than any checkpoint's")
        described = Reader(io.BytesIO(archive.read(root + "data.pkl")), limits).read()

        def bytes_of(claim: StorageClaim) -> bytearray:
            name = f"{root}data/{claim.key}"
            if archive.sizes.get(name) != storage_bytes(claim):
                _refuse(f"its stored data {claim.key!r} is missing or has another size than claimed")
            return archive.read(name)

        return Builder(bytes_of if data else None, limits, sum(archive.sizes.values())).build(described)


def _load_legacy(path: Path, size: int, limits: Limits, data: bool) -> Any:
    with path.open("rb") as file:
        if Reader(file, limits).read() != _LEGACY_MAGIC:
            _refuse("it is a pickle, but not one that torch wrote")
        if Reader(file, limits).read() != _LEGACY_VERSION:
            _refuse("it is of an unknown version of torch's old format")
        machine = Reader(file, limits).read()
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            _refuse("it was written on a big-endian machine")
        reader = Reader(file, limits)
        described = reader.read()
        keys = Reader(file, limits).read()
        if not isinstance(keys, list) or not all(isinstance(key, str) and key in reader.storages for key in keys):
            _refuse("its list of stored data is malformed")
        places: dict[str, int] = {}
        for key in keys:
            claim = reader.storages[key]
            if int.from_bytes(file.read(8), "little") != claim.count or key in places:
                _refuse(f"its stored data {key!r} has another size than claimed")
            places[key] = file.tell()
            file.seek(storage_bytes(claim), io.SEEK_CUR)
            if file.tell() > size:
                _refuse("it ends too early; the download may have been cut off")

        def bytes_of(claim: StorageClaim) -> bytearray:
            if claim.key not in places:
                _refuse(f"its stored data {claim.key!r} is missing")
            content = bytearray(storage_bytes(claim))
            file.seek(places[claim.key])
            if file.readinto(content) != len(content):
                _refuse("it ends too early; the download may have been cut off")
            return content

        return Builder(bytes_of if data else None, limits, size).build(described)


def _what_else(start: bytes) -> str:
    if not start:
        return "it is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is only a pointer to a large file (git-lfs); fetch the file itself"
    if start.lstrip()[:1] == b"<":
        return "it is a web page; download the file behind it"
    if start[257:262] == b"ustar":
        return "it was written by a torch older than 0.4; open it with that and save it again"
    return "it is neither a torch file nor safetensors"


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)
