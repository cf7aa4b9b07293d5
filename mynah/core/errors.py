"""What can go wrong through no fault of the program.

Every face (command line, studio, server) prints a `MynahError` as one line; anything else is a bug and keeps its
traceback.
A message says what is wrong with which thing, then what to do.
"""

from __future__ import annotations


class MynahError(Exception):
    """Something that the person in front of the screen can mend."""


class BadAudio(MynahError, ValueError):
    """A recording that cannot be used: empty, truncated, not audio at all, NaN."""


class BadCheckpoint(MynahError, ValueError):
    """Weights that are damaged, hostile, or of another system."""


class BadVoice(MynahError, ValueError):
    """A voice that is damaged, too short, or made for another system."""


class BadOption(MynahError, ValueError):
    """An option out of its bounds, or one that does not exist."""


class BadText(MynahError, ValueError):
    """A text that cannot be spoken, because there is nothing in it to say."""


class BadData(MynahError, ValueError):
    """A folder of recordings that cannot be trained on."""


class UnknownVoice(MynahError, LookupError):
    """No voice of that name in the library."""


class UnknownSystem(MynahError, LookupError):
    """No system of that name in the house."""


class MissingExtra(MynahError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"this needs {library}, which is not installed: pip install 'mynah[{extra}]'")


class Offline(MynahError, ConnectionError):
    """Weights have to be fetched and the hub cannot be reached."""


class NoSpace(MynahError, OSError):
    """The disk is full."""
