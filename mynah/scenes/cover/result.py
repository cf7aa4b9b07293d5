"""What comes of a cover: the song, the files on the way, and what was done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mynah.core.types import Audio


@dataclass(frozen=True)
class Done:
    """A step that was needed.

    Attributes:
        name: Of the step.
        seconds: That it took; for a kept one, to find it.
        kept: Whether it had been done before.
    """

    name: str
    seconds: float
    kept: bool


@dataclass(frozen=True, eq=False)
class Cover:
    """A song with another voice.

    Attributes:
        path: Where the finished song lies.
        stems: Every file on the way by its name, such as `"vocals"`, `"converted"` or `"melody"`. Unless a folder for
            them was asked for, they are the cache's, which drops old ones some day.
        steps: What was done, in order, how long it took, and what had been done before.
        semitones: How far the vocal was moved; `None` where a converted vocal was given.
        remarks: What the listener should know; empty when there is nothing.
    """

    path: Path
    stems: dict[str, Path]
    steps: tuple[Done, ...]
    semitones: float | None
    remarks: tuple[str, ...] = ()

    @cached_property
    def audio(self) -> Audio:
        """The finished song."""
        from mynah.audio.files import read

        return read(self.path)
