"""Separate: take a song apart into voice and accompaniment, or into more stems.

The folder holds one system per file; the module itself can be called, so that `mynah.separate("song.mp3")` reads as it
sounds. Importing it is cheap: torch and the system come in with the first call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mynah.core.errors import BadOption

if TYPE_CHECKING:
    from mynah.core.types import Audio, Stems
    from mynah.core.verbs import Blocks, Separates

DEFAULT = "mynah"


def separate(song: Audio | Path | str, *, system: str = DEFAULT, device: str = "cpu", **options: Any) -> Stems:
    """Take a song apart.

    Args:
        song: A recording, or the file that it is in.
        system: One of the files of this folder; loaded at the first call and kept.
        device: Where the nets run, as torch calls it.
        options: By name, as `mynah separate --help` lists them; what is not given keeps its default.

    Returns:
        Stems by name, each as long as the song and at its rate.

    Raises:
        UnknownSystem: No such system.
        BadAudio: The song is empty, or cannot be read.
        BadOption: One line for each option that does not exist or is out of bounds.
    """
    from mynah.audio.files import read
    from mynah.core.registry import find, full
    from mynah.core.verbs import options_of

    name = full(system, "separate")
    chosen = options_of(find(name), "separate").of(**options)
    stems: Stems = loaded(name, device).separate(read(song) if isinstance(song, Path | str) else song, chosen)
    return stems


def separate_file(
    song: Path,
    outs: dict[str, Path],
    engine: Separates[Any],
    options: Any = None,
    *,
    bits: int | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> None:
    """From file to files with flat memory: hours are no harder than minutes. All files appear together, or none does.

    Stems that would clip are made softer all alike, so they keep their balance. Written with 32 bits they are left as
    they are, and add up to the song where the system says so.

    Args:
        song: What to take apart.
        outs: Where each stem goes, by name; stems that are not named are not written.
        engine: A loaded system.
        options: Of that system.
        bits: Of the results, where their format leaves a choice.
        progress: Told the fraction that is done.

    Raises:
        BadAudio: The song is empty, or cannot be read.
        BadOption: The system has no stem of that name; or what `mynah.write` says of places, formats and bits.
        NoSpace: The disk is full.
    """
    from mynah.audio.files import PEAK_DB, probe, stream, together

    if wrong := sorted(set(outs) - set(engine.stems)):
        raise BadOption(f"there is no stem {wrong[0]!r}: choose among {', '.join(engine.stems)}")
    info, done = probe(song), 0.0
    total, peak_db = max(info.seconds, 0.01), None if bits == 32 else PEAK_DB
    with together(outs, info.rate, min(2, info.channels), bits=bits, peak_db=peak_db) as writers:
        for stems in engine.stream(lambda: stream(song), options):
            for name, writer in writers.items():
                writer.push(stems[name])
            done += stems[next(iter(stems))].seconds
            progress(min(1.0, done / total))


class Two:
    """A system whose stems are the voice and all the rest, whatever stems it has by itself."""

    stems = ("vocals", "accompaniment")

    def __init__(self, engine: Separates[Any]) -> None:
        """Take a loaded system, or raise `BadOption` where it has no vocals."""
        _require_two(engine.stems)
        self.engine = engine

    def separate(self, mix: Audio, options: Any = None) -> Stems:
        """As the engine does, two by two."""
        return self._two(self.engine.separate(mix, options))

    def stream(self, mix: Blocks, options: Any = None) -> Iterator[Stems]:
        """As the engine does, two by two."""
        return map(self._two, self.engine.stream(mix, options))

    def _two(self, stems: Stems) -> Stems:
        return type(stems)(zip(self.stems, vocals_apart(stems), strict=True))


def vocals_apart(stems: Stems) -> tuple[Audio, Audio]:
    """The voice, and all the rest in one, whatever stems a system gives.

    Raises:
        BadOption: There are no vocals among the stems, or nothing else.
    """
    from mynah.core.types import Audio

    _require_two(tuple(stems))
    vocals = stems["vocals"]
    rest = [stem.samples for name, stem in stems.items() if name != "vocals"]
    return vocals, Audio(sum(rest[1:], rest[0]), vocals.rate)


def _require_two(stems: tuple[str, ...]) -> None:
    if "vocals" not in stems or len(stems) < 2:
        raise BadOption(f"vocals and something else are wanted, not {', '.join(stems)}: choose another separator")


@lru_cache(maxsize=2)
def loaded(name: str, device: str = "cpu") -> Any:
    """A system such as `separate/mynah`, loaded at the first call and kept."""
    from mynah.core.registry import find

    return find(name).load(device=device)


class _Separate(ModuleType):
    """The folder of separators, which can itself be called."""

    @staticmethod
    def __call__(song: Audio | Path | str, **named: Any) -> Stems:
        return separate(song, **named)


_Separate.__call__.__doc__ = separate.__doc__
sys.modules[__name__].__class__ = _Separate
