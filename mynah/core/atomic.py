"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mynah.core.errors import NoSpace


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary name beside `path`; it takes the place of `path` when the block ends well, and is removed when not.

    Two runs never share a temporary name, a reader never sees half a file, and Ctrl-C leaves what was there before.

    Raises:
        NoSpace: The disk ran full inside the block.

    Example:

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder) / "note.txt") as half:
        ...         _ = half.write_text("whole")
        ...     (Path(folder) / "note.txt").read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays, because libraries tell formats by it.
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    half = Path(name)
    try:
        yield half
        half.chmod(0o666 & ~_umask())
        half.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NoSpace(f"the disk that holds {path} is full; nothing was written") from error
        raise
    finally:
        half.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
