"""Where the steps of covers are kept: one folder for each song, of bounded size, used by one run at a time."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from mynah.audio.disk import typed_errors
from mynah.catalog.home import home
from mynah.core.errors import BadOption
from mynah.scenes.cover.work import SHEET

VARIABLE = "MYNAH_COVERS_GB"
LIMIT_GB = 10.0
_SONG = "[0-9a-f]" * 16
_HALF = ".making-"


def shelf(work: Path | str | None = None) -> Path:
    """The folder of all songs: `work`, or `covers` in Mynah's own folder."""
    return Path(work).expanduser() if work is not None else home() / "covers"


def limit_bytes() -> float:
    """How much may be kept, from `$MYNAH_COVERS_GB`, by default 10 GB.

    Raises:
        BadOption: That is no number, or below zero.
    """
    told = os.environ.get(VARIABLE, "")
    try:
        limit = float(told) if told else LIMIT_GB
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise BadOption(f"{VARIABLE}={told!r}: say how many GB of finished steps may be kept, such as {LIMIT_GB:g}")
    return limit * 1e9


@contextmanager
def claimed(shelf: Path, song: str, waiting: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """The folder of one song, for one run alone; a second run of the same song waits here, and then finds it all done.

    Args:
        shelf: Of all songs.
        song: The sha256 of its file.
        waiting: Called if there is somebody to wait for.
    """
    name = song[:16]
    with typed_errors(shelf):
        shelf.mkdir(parents=True, exist_ok=True)
    lock = FileLock(shelf / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        _sweep(shelf / name)
        yield shelf / name
    finally:
        lock.release()


def bound(shelf: Path, limit: float) -> int:
    """Drop what was used longest ago until at most `limit` bytes are left; songs that are being worked on stay.

    Returns:
        Bytes that became free.
    """
    for half in shelf.glob(f"{_SONG}/{_HALF}*"):
        _drop(half)
    entries = sorted(_entries(shelf), key=lambda entry: entry.used_ns)
    surplus = sum(entry.bytes for entry in entries) - limit
    freed = 0
    for entry in entries:
        if freed >= surplus:
            break
        freed += entry.bytes if _drop(entry.folder) else 0
    return freed


def forget(shelf: Path, song: str | None = None) -> int:
    """Drop all that is kept of a song, given by its sha256, or of all songs; those that are being worked on stay.

    Returns:
        Bytes that became free.
    """
    return sum(entry.bytes for entry in list(_entries(shelf, song)) if _drop(entry.folder))


def has(shelf: Path, song: str) -> bool:
    """Whether any step of a song, given by its sha256, is finished already."""
    return next(_entries(shelf, song), None) is not None


class _Entry(NamedTuple):
    folder: Path
    bytes: int
    used_ns: int


def _entries(shelf: Path, song: str | None = None) -> Iterator[_Entry]:
    """Finished steps. The shelf may be a folder of the user's, so nothing is taken for ours that only looks like it."""
    for sheet in shelf.glob(f"{song[:16] if song else _SONG}/*-*/{SHEET}"):
        folder = sheet.parent
        if folder.name.startswith(_HALF):
            continue
        try:
            yield _Entry(folder, sum(file.stat().st_size for file in folder.iterdir()), folder.stat().st_mtime_ns)
        except FileNotFoundError:  # somebody else drops it
            continue


def _drop(place: Path) -> bool:
    """Take a step's folder away, and its song's if that was all; false where the song is being worked on."""
    song = place.parent
    lock = FileLock(song.with_name(f"{song.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    try:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):
            song.rmdir()
        return not place.exists()
    finally:
        lock.release()


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half made: whoever calls this is alone here."""
    for half in folder.glob(f"{_HALF}*"):
        shutil.rmtree(half, ignore_errors=True)
