"""Separate: take a song apart into voice and accompaniment, or into more stems.

The folder holds one system per file; the module itself can be called, so that `mynah.separate("song.mp3")` reads as it
sounds. Importing it is cheap: torch and the system come in with the first call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mynah.core.errors import BadOption

if TYPE_CHECKING:
    from mynah.core.types import Audio, Stems
    from mynah.core.verbs import Separates

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
    from mynah.core.registry import find
    from mynah.core.verbs import options_of

    name = f"separate/{system}"
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

    Args:
        song: What to take apart.
        outs: Where each stem goes, by name; stems that are not named are not written.
        engine: A loaded system.
        options: Of that system.
        bits: Of the results, where their format leaves a choice.
        progress: Told the fraction that is done.

    Raises:
        BadAudio: The song is empty, or cannot be read.
        BadOption: The system has no stem of that name.
    """
    from mynah.audio.files import Writer, probe, stream

    if wrong := sorted(set(outs) - set(engine.stems)):
        raise BadOption(f"there is no stem {wrong[0]!r}: choose among {', '.join(engine.stems)}")
    total, done = max(probe(song).seconds, 0.01), 0.0
    with ExitStack() as files:
        writers: dict[str, Writer] = {}
        for stems in engine.stream(lambda: stream(song), options):
            for name, path in outs.items():
                audio = stems[name]
                if name not in writers:
                    writers[name] = files.enter_context(Writer(path, audio.rate, audio.samples.shape[0], bits=bits))
                writers[name].push(audio)
            done += audio.seconds
            progress(min(1.0, done / total))


def vocals_apart(stems: Stems) -> tuple[Audio, Audio]:
    """The voice, and all the rest in one, whatever stems a system gives.

    Raises:
        BadOption: There are no vocals among the stems.
    """
    from mynah.core.types import Audio

    if "vocals" not in stems:
        raise BadOption(f"there are no vocals among {', '.join(stems)}: choose another separator")
    vocals = stems["vocals"]
    rest = [stem.samples for name, stem in stems.items() if name != "vocals"]
    return vocals, Audio(sum(rest[1:], rest[0]), vocals.rate)


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
