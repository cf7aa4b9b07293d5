"""Whether an upload is a recording, by decoding it: neither its name nor what the sender calls it says anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mynah.core.errors import BadAudio, MynahError


def accept(file: Path, minutes: float, *, whole: bool) -> float:
    """Look at an upload.

    Args:
        file: The upload.
        minutes: How long it may be.
        whole: Decode all of it, because a header may say anything; otherwise only where the header says nothing.

    Returns:
        Its length in seconds.

    Raises:
        BadAudio: Not a recording, damaged, or too long.
    """
    from mynah.audio.decoding import opened

    limit = 60 * minutes
    with named(file), opened(file) as source:
        seconds = (source.frames or 0) / source.rate
        if whole or not source.frames:
            frames = 0
            for block in source.blocks():
                frames += len(block)
                if frames > limit * source.rate:
                    break
            seconds = frames / source.rate
    if seconds > limit:
        raise BadAudio(f"the recording is longer than {minutes:g} minutes, which is the most that this server takes")
    return seconds


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Errors of the house name the file; a stranger is told of `the upload` instead of where we keep things."""
    try:
        yield
    except MynahError as error:
        raise type(error)(str(error).replace(str(file), "the upload")) from error
