"""Files of a voice, from wherever somebody says they are: a file, a folder, an archive, an address, the hub.

Nothing is believed: archives are unpacked by hand, links are not followed, addresses have to be public, and every size
is bounded before anything is written. What comes out are plain files and an outline of each.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import torch

from mynah.catalog import download
from mynah.catalog.archive import Archive
from mynah.catalog.arrays import shape_of
from mynah.catalog.checkpoint import outline
from mynah.catalog.limits import Limits
from mynah.catalog.pickles import Foreign
from mynah.core.errors import BadCheckpoint, BadOption, NoSpace, Offline

Progress = Callable[[float], None]
MODELS = (".pth", ".pt", ".ckpt", ".th", ".bin", ".safetensors")
INDEX, TEXT, ARRAY = ".index", ".json", ".npy"
KNOWN = (*MODELS, INDEX, TEXT, ARRAY)
ARRAY_BYTES = 64 << 10  # a voice's vector has two thousand; larger arrays are what somebody trained on
PACKED = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
MOST_BYTES = 4 << 30  # of all files of a voice; a training run with its critics has one
MOST_FILES = 2000
TEXT_BYTES = 1 << 20
_LIMITS = Limits(file_bytes=MOST_BYTES, members=MOST_FILES, expansion=50)
# What no model refers to: modules, and names of Python itself.
_HARMFUL = {
    *("os", "posix", "nt", "subprocess", "sys", "shutil", "runpy", "importlib", "socket", "ctypes", "pty", "pickle"),
    *(
        "marshal",
        "code",
        "codeop",
        "webbrowser",
        "urllib",
        "requests",
        "http",
        "asyncio",
        "multiprocessing",
        "commands",
    ),
    *("bdb", "pdb", "timeit", "signal", "commands"),
    *("builtins." + name for name in ("eval", "exec", "execfile", "compile", "open", "input", "apply", "breakpoint")),
    *("builtins." + name for name in ("__import__", "getattr", "setattr", "globals", "locals", "vars")),
}
_HUB = re.compile(r"(?:hub:)?([\w.-]+/[\w.-]+)(?:/([^@]+))?(?:@([\w./-]+))?")
_HUB_SITE = "huggingface.co"


def gathered(source: str, desk: Path, progress: Progress = lambda fraction: None) -> list[Path]:
    """The files of a voice that can be read here; others, such as pictures, are left out.

    Args:
        source: A path, `https://...`, or `owner/name` or `owner/name/file` on the hub, with `@revision` if need be.
        desk: An empty folder for what is fetched and unpacked. Files of this machine stay where they are.
        progress: Told the fraction that has arrived, 0 to 1.

    Raises:
        BadCheckpoint: Damaged, hostile, or without any file that could be of a voice; the message says why.
        BadOption: Nothing that can be understood.
        Offline: It cannot be fetched.
        NoSpace: The disk has no room for it.
    """
    path = Path(source).expanduser()
    if source and os.path.lexists(path):
        return _of_folder(path) if path.is_dir() else _of_file(path, desk)
    if "://" in source:
        return _of_file(_fetched(source, desk, progress), desk)
    if (place := _HUB.fullmatch(source)) and ".." not in source.split("/"):
        return _of_hub(place[1], place[2], place[3], desk, progress)
    raise BadOption(
        f"there is no {source!r}: give a file, a folder, an address that begins with https://, or owner/name on the hub"
    )


def outlined(files: Sequence[Path]) -> dict[Path, Any]:
    """What each file holds: of a checkpoint keys and shapes, of an array its shape, of a text what it says, of an index
    nothing.

    Raises:
        BadCheckpoint: Damaged or hostile.
    """
    held = {path: _outline(path) for path in files}
    for path, tree in held.items():
        if call := _call(tree):
            _refuse(f"{path}: is hostile: it asks for {call[:80]!r} to be run, which no voice needs; it was not")
    return held


def _call(tree: Any) -> str:
    """What a file wants run that can only mean harm; empty for none. Nothing ever is; but the user ought to know."""
    todo = [tree]
    while todo:
        part = todo.pop()
        if isinstance(part, Foreign):
            if part.name in _HARMFUL or part.name.partition(".")[0] in _HARMFUL:
                return part.name
            todo += [part.args, part.state, part.items, part.entries]
        elif isinstance(part, dict):
            todo += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            todo += part
    return ""


def _outline(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix == INDEX:
        return None
    if suffix == ARRAY:
        return torch.empty(shape_of(path), device="meta")
    if suffix != TEXT:
        return outline(path, _LIMITS)
    try:
        with path.open("rb") as file:
            content = file.read(TEXT_BYTES + 1)
        if len(content) > TEXT_BYTES:
            _refuse(f"{path}: is larger than any description of a voice")
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadCheckpoint):
            raise
        raise BadCheckpoint(f"{path}: cannot be read as JSON") from error


def _of_folder(folder: Path) -> list[Path]:
    found = []
    for count, path in enumerate(_walk(folder)):
        if count >= MOST_FILES:
            _refuse(f"{folder}: holds more than {MOST_FILES} files; give the one folder of the voice")
        _refuse_packed(path.name, folder)
        if path.suffix.lower() in KNOWN and _of_use(path.name, _regular(path).stat().st_size):
            found.append(path)
    if not found:
        _refuse(f"{folder}: holds no file of a voice ({', '.join(KNOWN)})")
    if (total := sum(path.stat().st_size for path in found)) > MOST_BYTES:
        _refuse(f"{folder}: holds {total / 1e9:.0f} GB of models; give the one file of the voice")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Every file that is not hidden, in order; a link is refused, wherever it leads."""
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in [*folders, *sorted(name for name in names if not _hidden(name))]:
            path = Path(place, name)
            if path.is_symlink():
                _refuse(f"{folder}: holds the link {path.name[:80]!r}; give the files themselves")
            if name not in folders:
                yield path


def _unreadable(error: OSError) -> NoReturn:
    raise BadCheckpoint(f"{error.filename}: cannot be read ({error.strerror})") from error


def _of_file(path: Path, desk: Path) -> list[Path]:
    path = _regular(path)
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    if not zipped:
        if path.suffix.lower() == ".zip":
            _refuse(f"{path}: is no zip archive, or a damaged one; the download may have been cut off")
        _refuse_packed(path.name, path)
        return [path]
    try:
        with Archive(path, _LIMITS) as archive:
            # What torch writes is a zip archive, too.
            if any(PurePosixPath(name).name == "data.pkl" for name in archive.sizes):
                return [path]
            return _unpacked(archive, desk / "unpacked")
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path}: cannot be imported: {error}") from error


def _unpacked(archive: Archive, folder: Path) -> list[Path]:
    wanted = []
    for name in archive.sizes:
        place = PurePosixPath(name)
        if any(_hidden(part) for part in place.parts):
            continue  # what a Mac leaves beside every file
        _refuse_packed(place.name, "it")
        if _of_use(place.name, archive.sizes[name]):
            wanted.append(name)
    if not wanted:
        _refuse(f"it holds no file of a voice ({', '.join(KNOWN)})")
    folder.mkdir(parents=True)
    _require_room(folder, sum(archive.sizes[name] for name in wanted))
    found = []
    for number, name in enumerate(wanted):
        # Only the last part of a name is kept, in a folder of its own: nothing in it can lead anywhere.
        path = folder / str(number) / _plain(name)
        path.parent.mkdir()
        path.write_bytes(archive.read(name))
        found.append(path)
    return found


def _fetched(address: str, desk: Path, progress: Progress) -> Path:
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        raise BadOption(f"{address}: only addresses that begin with https:// can be fetched, and none with a password")
    if parts.hostname == _HUB_SITE:
        address = address.replace("/blob/", "/resolve/", 1)  # the page about a file, instead of the file
    path = desk / _plain(unquote(parts.path))
    _require_room(desk, 0)
    try:
        download.from_web(address, path, MOST_BYTES, progress, public=True)
    except download.Unreachable as error:
        raise Offline(
            f"cannot fetch {address}: {error}; download it by hand where there is a network, and import the file"
        ) from error
    return path


def _of_hub(repository: str, file: str | None, revision: str | None, desk: Path, progress: Progress) -> list[Path]:
    page = f"https://{_HUB_SITE}/{repository}"
    by_hand = f"download the files from {page} by hand where there is a network, and import the folder"
    try:
        sizes = download.hub_files(repository, revision)
        wanted = [file] if file else _chosen(repository, sizes)
        if missing := [name for name in wanted if name not in sizes]:
            raise BadOption(f"{page} has no {missing[0]!r}; it has {', '.join(sorted(sizes)[:20])}")
        total = sum(sizes[name] for name in wanted)
        if total > MOST_BYTES or len(wanted) > MOST_FILES:
            _refuse(f"{page}: has {total / 1e9:.1f} GB in {len(wanted)} files; name one: {repository}/FILE")
        _require_room(desk, total)
        found, done = [], 0
        for number, name in enumerate(wanted):
            path = desk / f"{number}" / _plain(name)
            path.parent.mkdir()
            begun = done
            place = f"{repository}/{name}" + (f"@{revision}" if revision else "")
            download.from_hub(place, path, lambda part, name=name, begun=begun: progress(  # type: ignore[misc]
                (begun + part * sizes[name]) / max(total, 1)
            ))  # fmt: skip
            done += sizes[name]
            found.append(path)
    except download.Unreachable as error:
        raise Offline(f"cannot fetch {repository} from the hub: {error}; {by_hand}") from error
    if len(found) == 1:
        return _of_file(found[0], desk)
    return [_regular(path) for path in found]


def _chosen(repository: str, sizes: Mapping[str, int]) -> list[str]:
    """What to fetch when nobody named a file: the one archive, else the files of the one voice."""
    packed = [name for name in sizes if name.lower().endswith(".zip")]
    known = [name for name, size in sizes.items() if _of_use(name, size)]
    if not packed and not any(name.lower().endswith((*MODELS, ARRAY)) for name in known):
        _refuse(f"https://{_HUB_SITE}/{repository}: holds no file of a voice ({', '.join(KNOWN)})")
    if not packed:
        return known
    if len(packed) > 1 or any(name.lower().endswith(MODELS) for name in known):
        raise BadOption(
            f"{repository} holds several archives or models: name one, such as {repository}/{packed[0]}"
        )  # fmt: skip
    return packed


def _regular(path: Path) -> Path:
    """The path itself, if there is a file that ends: a pipe or a device could be read for ever."""
    try:
        status = path.stat()
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        _refuse(f"{path}: is no file")
    if status.st_size > MOST_BYTES:
        _refuse(f"{path}: has {status.st_size / 1e9:.0f} GB, more than any voice")
    return path


def _refuse_packed(name: str, where: object) -> None:
    if name.lower().endswith(PACKED):
        _refuse(f"{where}: {name[:80]!r} is packed; unpack it by hand and import what is in it")


def _of_use(name: str, size: int) -> bool:
    """Whether a file can be of a voice, told by its name and how many bytes it has."""
    name = name.lower()
    return name.endswith(KNOWN) and not (name.endswith(ARRAY) and size > ARRAY_BYTES)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _plain(name: str) -> str:
    """The last part of a name, with nothing in it that a file system could mind."""
    last = re.sub(r"[^\w.+ -]", "_", PurePosixPath(name).name).lstrip(". ")
    return f"{last[:40]}{last[40:][-12:]}" or "download"


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + (64 << 20):
        raise NoSpace(f"{folder} has {free / 1e6:.0f} MB left, and {size / 1e6:.0f} MB are to be unpacked there")


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)
