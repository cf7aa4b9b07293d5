"""Models that voices bring along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Model = TypeVar("Model")


class Brought(Generic[Model]):
    """The model of whoever sang last, which is read anew where its file has changed.

    Args:
        read: Makes a model of a file.
    """

    def __init__(self, read: Callable[[Path], Model]) -> None:
        self._read = read
        self._last: tuple[Path, int, Model] | None = None

    def by(self, path: Path) -> Model:
        """The model of a file; whatever reading it raises."""
        changed = path.stat().st_mtime_ns if path.exists() else 0
        if self._last is None or self._last[:2] != (path, changed):
            self._last = (path, changed, self._read(path))
        return self._last[2]
