"""Zip files from strangers: nothing is unpacked to disk, and nothing unpacks to more than it may."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NoReturn

from mynah.catalog.limits import Limits
from mynah.core.errors import BadCheckpoint

_SLACK_BYTES = 1 << 20
_BLOCK = 1 << 22  # bytes
# What zipfile raises for damaged files.
_DAMAGE = (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, OverflowError, struct.error)


class Archive:
    """An opened zip file whose list of members has been checked.

    Raises:
        BadCheckpoint: Corrupt, encrypted, with a member outside its own folder, a link, a bomb, or two of one name.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise BadCheckpoint(f"its archive is damaged ({error})") from error
        try:
            self.sizes = self._check(limits)
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def _check(self, limits: Limits) -> dict[str, int]:
        members = [member for member in self._zip.infolist() if not member.is_dir()]
        if len(members) > limits.members:
            _refuse(f"its archive holds {len(members)} files")
        sizes: dict[str, int] = {}
        packed = unpacked = 0
        for member in members:
            name = member.filename
            parts = PurePosixPath(name).parts
            odd = not parts or "\\" in name or not name.isprintable()
            if odd or ":" in parts[0] or parts[0] == "/" or ".." in parts:
                _refuse(f"its archive holds the file {name[:80]!r}, which would lie outside its folder")
            if stat.S_ISLNK(member.external_attr >> 16):
                _refuse(f"its archive holds the link {name[:80]!r}")
            if member.flag_bits & 0x1:
                _refuse("its archive is encrypted")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                _refuse("its archive is packed in an unusual way")
            if name in sizes:
                _refuse(f"its archive holds {name[:80]!r} twice")
            if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
                _refuse(f"its archive lies about the size of {name[:80]!r}")
            sizes[name] = member.file_size
            packed += member.compress_size
            unpacked += member.file_size
        size = self._path.stat().st_size
        # Files that share their packed bytes add up to more than the archive.
        if packed > size or unpacked > min(limits.expansion * size + _SLACK_BYTES, limits.file_bytes):
            _refuse("its archive claims far more data than it holds")
        return sizes

    def read(self, name: str) -> bytearray:
        """The content of a member, exactly as long as its size in `sizes`.

        Raises:
            BadCheckpoint: It is not there, is damaged, or is longer or shorter than the archive says.
        """
        if name not in self.sizes:
            _refuse(f"its archive lacks {name[:80]!r}")
        content = bytearray()
        try:
            with self._zip.open(name) as file:
                while len(content) < self.sizes[name]:
                    block = file.read(min(_BLOCK, self.sizes[name] - len(content)))
                    if not block:
                        _refuse(f"its archive is cut off in {name[:80]!r}")
                    content += block
                if file.read(1):
                    _refuse(f"its archive lies about the size of {name[:80]!r}")
        except BadCheckpoint:
            raise
        except (*_DAMAGE, zlib.error, RuntimeError) as error:
            raise BadCheckpoint(f"its archive is damaged in {name[:80]!r}") from error
        return content


def _refuse(why: str) -> NoReturn:
    raise BadCheckpoint(why)
