"""Another key: a recording moved by semitones, as long as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def shifted(
    source: Path, out: Path, semitones: float, progress: Callable[[float], None] = lambda fraction: None
) -> None:
    """Write `source` moved by so many semitones to `out`."""
    raise NotImplementedError
