"""Lead told from backing vocals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def lead_and_backing(
    vocals: Path, lead: Path, backing: Path, progress: Callable[[float], None] = lambda fraction: None
) -> None:
    """Write what of `vocals` is lead and what is backing; together they are `vocals`."""
    raise NotImplementedError
