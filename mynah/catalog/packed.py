"""Compressed files from strangers, unpacked to the disk: never to more than an honest one could hold."""

from __future__ import annotations

import errno
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mynah.catalog.limits import Limits
from mynah.core.errors import BadCheckpoint, NoSpace

GZIP = b"\x1f\x8b"
_EITHER = 32 + zlib.MAX_WBITS  # gzip or zlib, whichever it is
_BLOCK = 1 << 20  # bytes
_SLACK_BYTES = 1 << 20


@contextmanager
def unpacked(file: BinaryIO, size: int, limits: Limits) -> Iterator[Path]:
    """What a gzip or zlib stream holds, as a file that is gone afterwards.

    Args:
        file: Positioned at the stream, which is all that it holds.
        size: Of the stream in bytes.
        limits: Says how much larger the content may be.

    Raises:
        BadCheckpoint: Damaged, cut off, followed by something else, or a bomb.
        NoSpace: The disk for temporary files is full.
    """
    left = min(limits.expansion * size + _SLACK_BYTES, limits.file_bytes)
    with tempfile.TemporaryDirectory(prefix="mynah-") as folder:
        plain = Path(folder) / "unpacked"
        engine = zlib.decompressobj(_EITHER)
        try:
            with plain.open("wb") as out:
                while not engine.eof:
                    packed = engine.unconsumed_tail or file.read(_BLOCK)
                    content = engine.decompress(packed, _BLOCK)
                    if not packed and not content and not engine.eof:
                        raise BadCheckpoint("it ends too early; the download may have been cut off")
                    left -= len(content)
                    if left < 0:
                        raise BadCheckpoint("it unpacks to far more data than it holds")
                    out.write(content)
            if engine.unused_data or file.read(1):
                raise BadCheckpoint("it has bytes behind its compressed content")
        except zlib.error as error:
            raise BadCheckpoint("its compressed content is damaged") from error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise NoSpace(f"the disk that holds {folder} is full") from error
            raise
        yield plain
