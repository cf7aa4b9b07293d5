"""Published parameters, fetched once and checked against their sha256 at every use."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from mynah.catalog import download
from mynah.catalog.home import cache
from mynah.core.errors import BadCheckpoint, BadOption, NoSpace, Offline
from mynah.core.system import Weights

Progress = Callable[[float], None]
_SHIPPED = Path(__file__).parent / "shipped"
_BLOCK = 1 << 20  # bytes


def fetch(weights: Weights, progress: Progress | None = None) -> Path:
    """The file behind published weights, on this machine and with the right checksum.

    Args:
        weights: With a source of `shipped:file`, `hub:owner/name/file[@revision]` or `https://...`.
        progress: Told the fraction that has arrived, 0 to 1.

    Raises:
        Offline: The file is not here and cannot be fetched; the message says where to get it and where to put it.
        BadCheckpoint: What arrived is not what was published; it is not kept.
        NoSpace: The disk has no room for it.
    """
    kind, _, place = weights.source.partition(":")
    if kind == "shipped":
        return _checked_shipped(place, weights)
    if kind not in ("hub", "https"):
        raise BadOption(f"weights come from shipped:, hub: or https://, not from {weights.source!r}")
    path = place_of(weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    from filelock import FileLock

    # Whoever comes second waits, and then finds the file there.
    with FileLock(path.parent / ".lock"):
        was_wrong = False
        if path.exists():
            if sha256(path).startswith(weights.sha256):
                return path
            path.unlink()
            was_wrong = True
        try:
            _require_room(path.parent, weights)
            half = path.with_name(path.name + ".part")
            if kind == "hub":
                download.from_hub(place, half, progress)
            else:
                download.from_web(weights.source, half, weights.bytes, progress)
        except download.Unreachable as error:
            removed = "; the file that was there had another checksum and was removed" if was_wrong else ""
            raise Offline(
                f"cannot fetch {path.name} ({weights.bytes / 1e6:.1f} MB): {error}{removed}; "
                f"download it from {web_page(weights)} and put it at {path}"
            ) from error
        found = sha256(half)
        if not found.startswith(weights.sha256):
            half.unlink()
            raise BadCheckpoint(
                f"{weights.source} has sha256 {found[:16]}... where {weights.sha256[:16]}... was published; "
                "it was not kept: try again, and if it happens again do not use that source"
            )
        half.replace(path)
        return path


def locate(spec: str, known: Mapping[str, Weights], progress: Progress | None = None) -> Path:
    """The file behind what a person typed: a name on a system's card, or the path of a file of their own.

    Raises:
        BadOption: Neither; the message lists the names.
    """
    if spec in known:
        return fetch(known[spec], progress)
    path = Path(spec).expanduser()
    if path.is_file():
        return path
    raise BadOption(f"no weights {spec!r}: neither a file nor one of {', '.join(known) or '(this system has none)'}")


def shipped(name: str) -> Path:
    """A file that comes with the package, such as a converter's parameters.

    Raises:
        BadCheckpoint: The installation lacks it.
    """
    path = _SHIPPED / name
    if PurePosixPath(name).name != name or not path.is_file():
        raise BadCheckpoint(f"this installation lacks the weights {name!r}: install mynah again")
    return path


def place_of(weights: Weights) -> Path:
    """Where fetched weights lie, or would lie; the checksum is in the path, so versions never meet."""
    place = weights.source.partition(":")[2].partition("@")[0]
    name = PurePosixPath(urlsplit(place).path).name
    if not name or name in (".", "..") or "\\" in name:
        raise BadOption(f"{weights.source!r} names no file")
    return cache() / "weights" / weights.sha256[:16] / name


def web_page(weights: Weights) -> str:
    """The address at which a browser finds the weights."""
    kind, _, place = weights.source.partition(":")
    if kind != "hub":
        return weights.source
    owner, name, file, revision = download.hub_parts(place)
    return f"https://huggingface.co/{owner}/{name}/resolve/{revision or 'main'}/{file}"


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal.

    Example:

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "empty"
        ...     file.touch()
        ...     sha256(file)[:16]
        'e3b0c44298fc1c14'
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _checked_shipped(name: str, weights: Weights) -> Path:
    path = shipped(name)
    if not sha256(path).startswith(weights.sha256):
        raise BadCheckpoint(f"the shipped weights {name!r} are damaged (wrong sha256): install mynah again")
    return path


def _require_room(folder: Path, weights: Weights) -> None:
    free = shutil.disk_usage(folder).free
    if free < weights.bytes:
        raise NoSpace(f"{folder} has {free / 1e6:.0f} MB left, and {weights.source} needs {weights.bytes / 1e6:.0f} MB")
