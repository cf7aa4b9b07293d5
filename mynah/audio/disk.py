"""Files as libsndfile should see them, and what can go wrong with a disk, typed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from mynah.core.errors import BadOption, NoSpace

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG}


class Disk:
    """A binary file without its name, whose errors are kept for later.

    libsndfile guesses raw formats by a file's suffix, which we do not want, and an exception cannot travel through its
    C code: it would be printed and forgotten, and a full disk would pass for success.

    Attributes:
        error: The first thing that went wrong, or `None`.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def readinto(self, buffer: bytearray) -> int:
        """Bytes read into `buffer`; 0 at the end and after an error."""
        try:
            data = self._file.read(len(buffer))
        except OSError as error:
            self.error = self.error or error
            return 0
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: bytes) -> int:
        """Bytes written: all of them, or 0 after an error."""
        if self.error:
            return 0
        view = memoryview(data)
        try:
            while view:  # an unbuffered file may take less than it is given
                view = view[self._file.write(view) :]
        except OSError as error:
            self.error = error
            return 0
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new position; the old one where a damaged header asks for a place before the start."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return self._file.tell()

    def tell(self) -> int:
        """The position."""
        return self._file.tell()


def spooled(pipe: IO[bytes]) -> BinaryIO:
    """All that comes out of a pipe, as an unnamed file that can be read twice; it is gone once closed.

    Raises:
        NoSpace: The disk with the temporary files ran full.
    """
    # Closed by whoever asked for it.
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with typed_errors("the folder of temporary files"):
            shutil.copyfileobj(pipe, file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def tidy(folders: Iterable[Path]) -> Iterator[None]:
    """Makes folders; if the block fails, those that were not there before go again, as far as they are empty.

    Example:

        >>> with tempfile.TemporaryDirectory() as place:
        ...     with suppress(ZeroDivisionError), tidy([Path(place, "new", "newer")]):
        ...         1 / 0
        ...     os.listdir(place)
        []
    """
    made = []
    for folder in map(Path.absolute, folders):
        made += [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def typed_errors(target: Path | str) -> Iterator[None]:
    """Turn what the system says of writing to `target` into errors that a user can mend.

    Raises:
        NoSpace: The disk is full, a quota is used up, or the file system takes no file of that size.
        BadOption: The place cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace(f"no space left for {target} ({os.strerror(error.errno)}); nothing was written") from error
        if error.errno in _FORBIDDEN:
            raise BadOption(f"cannot write to {target}: {os.strerror(error.errno)}; choose another place") from error
        raise
