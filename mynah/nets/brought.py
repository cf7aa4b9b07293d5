"""Models that voices bring along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from mynah.core.errors import BadVoice
from mynah.core.types import Voice

Model = TypeVar("Model")


class Brought(Generic[Model]):
    """The model of whoever sang last, which is read anew where its file has changed.

    Args:
        read: Makes a model of a file.
        own: For voices that bring none.
        kind: Whose models they are, such as `"RVC"`, for the message where there is none.
    """

    def __init__(self, read: Callable[[Path], Model], own: Model | None = None, kind: str = "") -> None:
        self._read, self._own, self._kind = read, own, kind
        self._last: tuple[Path, int, Model] | None = None

    def by(self, path: Path) -> Model:
        """The model of a file; whatever reading it raises."""
        changed = path.stat().st_mtime_ns if path.exists() else 0
        if self._last is None or self._last[:2] != (path, changed):
            self._last = (path, changed, self._read(path))
        return self._last[2]

    def of(self, voice: Voice) -> Model:
        """The model that a voice sings with.

        Raises:
            BadVoice: It brings none, and there is no other; or whatever reading its file raises.
        """
        if voice.weights is not None:
            return self.by(voice.weights)
        if self._own is None:
            raise BadVoice(
                f"the voice {voice.name!r} brings no model of {self._kind}: choose one that was imported from one"
            )
        return self._own
