"""Transcribe: write down what is said or sung, with times.

The folder holds one system per file; the module itself can be called, so that `mynah.transcribe("song.mp3")` reads as
it sounds. Importing it is cheap: torch and the system come in with the first call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mynah.core.types import Audio, Transcript

DEFAULT = "whisper"


def transcribe(
    recording: Audio | Path | str,
    *,
    system: str = DEFAULT,
    weights: str = "default",
    translate: bool = False,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda fraction: None,
    **options: Any,
) -> Transcript:
    """Write down what is said or sung.

    Args:
        recording: Sound, or the file that it is in. Of a song with a band, better the vocals alone:
            `mynah.separate("song.mp3")["vocals"]`.
        system: One of the files of this folder; loaded at the first call and kept.
        weights: By name, such as `"large-v3"`, or their file or folder.
        translate: Into English, instead of what was said.
        device: Where the nets run, as torch calls it.
        progress: Told the fraction that is done, 0 to 1.
        options: By name, as `mynah transcribe --help` lists them; what is not given keeps its default.

    Returns:
        The text, its language, and lines with their times; words too, with `words=True`.

    Raises:
        UnknownSystem: No such system.
        BadAudio: The recording is empty, or cannot be read.
        BadOption: One line for each option that does not exist or is out of bounds.
        Offline: The weights are not here and cannot be fetched.
    """
    from mynah.audio.files import read
    from mynah.core.registry import find, full
    from mynah.core.verbs import options_of

    name, verb = full(system, "transcribe"), "translate" if translate else "transcribe"
    chosen = options_of(find(name), verb).of(**options)
    sound = read(recording) if isinstance(recording, Path | str) else recording
    return written(loaded(name, device, weights), sound, chosen, verb=verb, progress=progress)


def written(
    engine: Any,
    sound: Audio,
    options: Any = None,
    *,
    verb: str = "transcribe",
    progress: Callable[[float], None] = lambda fraction: None,
) -> Transcript:
    """What a loaded system hears, and how far it is where it can tell.

    Args:
        engine: A system that has the verb.
        sound: A recording.
        options: Of that system.
        verb: `"transcribe"`, or `"translate"` for English.
        progress: Told the fraction that is done.
    """
    listen = getattr(engine, verb)
    told = {"progress": progress} if "progress" in signature(listen).parameters else {}
    transcript: Transcript = listen(sound, options, **told)
    progress(1.0)
    return transcript


@lru_cache(maxsize=2)
def loaded(name: str, device: str = "cpu", weights: str = "default") -> Any:
    """A system such as `transcribe/...`, loaded at the first call and kept."""
    from mynah.core.registry import find

    return find(name).load(weights, device=device)


class _Transcribe(ModuleType):
    """The folder of listeners, which can itself be called."""

    @staticmethod
    def __call__(recording: Audio | Path | str, **named: Any) -> Transcript:
        return transcribe(recording, **named)


_Transcribe.__call__.__doc__ = transcribe.__doc__
sys.modules[__name__].__class__ = _Transcribe
