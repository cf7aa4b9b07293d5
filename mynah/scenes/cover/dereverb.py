"""Less reverb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def dried(vocals: Path, out: Path, strength: float, progress: Callable[[float], None] = lambda fraction: None) -> None:
    """Write `vocals` with so much (0 to 1) of its late reverb taken away to `out`."""
    raise NotImplementedError
