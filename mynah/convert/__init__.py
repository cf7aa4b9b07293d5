"""Convert: give a recording another voice, and keep its words, melody and length.

The folder holds one system per file; the module itself can be called, so that `mynah.convert(source, "me")` reads as it
sounds. Importing it is cheap: torch and the system come in with the first call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mynah.core.errors import BadOption, BadVoice

if TYPE_CHECKING:
    from mynah.core.types import Audio, Contour, Voice

DEFAULT = "mynah"


def convert(
    source: Audio,
    voice: Voice | str,
    *,
    system: str | None = None,
    melody: Contour | None = None,
    device: str = "cpu",
    **options: Any,
) -> Audio:
    """Let somebody else sing or say it.

    Args:
        source: What is sung or said, one melody at a time.
        voice: Who should be heard: a voice, or what `mynah.voice` understands: a name, a sound file, or a mixture
            such as `"a:0.7,b:0.3"`.
        system: One of the files of this folder, loaded at the first call and kept; by default whom the voice was made
            for, else the house's own.
        melody: Pitch of the source, where a hand has corrected it; heard when not given.
        device: Where the nets run, as torch calls it.
        options: By name, as `mynah convert --help` lists them; what is not given keeps its default.

    Returns:
        As long as the source.

    Raises:
        UnknownSystem: No such system.
        UnknownVoice: No voice of that name.
        BadVoice: The voice was made for another system.
        BadOption: One line for each option that does not exist or is out of bounds; or a melody for a system that takes
            none.

    Example:

        >>> import torch
        >>> from mynah.core.types import Audio, Voice
        >>> note = Audio(torch.sin(torch.arange(16_000) * 0.1)[None], rate=16_000)
        >>> convert(note, Voice("anybody", range_hz=(80, 800)), system="hum", transpose=12).seconds
        1.0
    """
    from mynah.core.registry import find, full
    from mynah.core.verbs import options_of

    if isinstance(voice, str):
        from mynah.voices.library import find as find_voice

        voice = find_voice(voice)
    name = full(system or voice.system or DEFAULT, "convert")
    chosen = options_of(find(name), "convert").of(**options)
    if voice.system not in ("", name):
        raise BadVoice(
            f"the voice {voice.name!r} was made for {voice.system}: convert with that system, not with {name}"
        )
    engine = loaded(name, device)
    if melody is None:
        result: Audio = engine.convert(source, voice, chosen)
        return result
    if not takes_melody(engine):
        raise BadOption(f"{name} finds the melody by itself: leave `melody` away")
    result = engine.convert(source, voice, chosen, melody=melody)
    return result


def convert_file(
    source: Path | str,
    voice: Voice,
    out: Path | str,
    engine: Any,
    options: Any = None,
    *,
    melody: Contour | None = None,
    rate: int | None = None,
    bits: int | None = None,
    wants_melody: bool = False,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[float, Contour | None]:
    """From file to file; memory stays flat where the system works that way.

    Args:
        source: What is sung or said; `"-"` is standard input.
        voice: Who should be heard.
        out: Where to; `"-"` is standard output.
        engine: A loaded system.
        options: Of that system.
        melody: Pitch of the source, where it is known; heard when not given.
        rate: Of the result in Hz; by default what the system makes of it.
        bits: Of the result, where its format leaves a choice.
        wants_melody: Whether the melody has to be known in the end.
        progress: Told the fraction that is done.

    Returns:
        Seconds of sound; and the melody that was heard or given, if it is known.

    Raises:
        BadOption: A melody was given and the system takes none.
        BadAudio: The source is empty, or cannot be read.
    """
    from mynah.audio.files import probe, read, write
    from mynah.audio.resample import resample
    from mynah.features.pitch import pitch

    if melody is not None and not takes_melody(engine):
        raise BadOption(f"{type(engine).__name__} finds the melody by itself: it cannot be given one")
    if hasattr(engine, "convert_file") and "-" not in (str(source), str(out)):
        sung: Contour | None = engine.convert_file(
            Path(source), voice, options, Path(out), rate=rate, bits=bits, melody=melody, progress=progress
        )
        return probe(source).seconds, sung
    sound = read(source)
    if melody is None and wants_melody:
        melody = pitch(sound)
    progress(0.1)
    result = engine.convert(sound, voice, options, **({"melody": melody} if takes_melody(engine) else {}))
    progress(0.9)
    write(result if rate is None else resample(result, rate), out, bits=bits)
    progress(1.0)
    return sound.seconds, melody


def stream_file(
    source: Path | str,
    voice: Voice,
    out: Path | str,
    engine: Any,
    options: Any = None,
    *,
    block_seconds: float = 0.02,
    bits: int | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[float, float]:
    """From file to file as if the sound came from a microphone, in blocks of any length.

    Args:
        source: What is sung or said; `"-"` is standard input.
        voice: Who should be heard.
        out: Where to, at the rate of the source; `"-"` is standard output.
        engine: A loaded system.
        options: Of that system.
        block_seconds: How much comes at a time; the result does not depend on it.
        bits: Of the result, where its format leaves a choice.
        progress: Told the fraction that is done.

    Returns:
        Seconds of sound, and those that the stream looks ahead.

    Raises:
        BadOption: The system cannot, or an option asks for what only a whole recording can tell.
        BadAudio: The source is empty, or cannot be read.
    """
    from itertools import chain

    from mynah.audio.files import probe, stream
    from mynah.core.errors import BadAudio
    from mynah.nets.streams import through

    if not hasattr(engine, "stream"):
        raise BadOption(f"{type(engine).__name__} needs a whole recording: it cannot sing while the sound comes in")
    blocks = stream(source, mono=True, block_seconds=block_seconds)
    first = next(blocks, None)
    if first is None:
        raise BadAudio(f"{source}: there is no sound in it")
    sung = engine.stream(voice, options, rate=first.rate)
    total = 0.0 if str(source) == "-" else probe(source).seconds
    seconds = through(sung, chain([first], blocks), out, first.rate, seconds=total, bits=bits, progress=progress)
    return seconds, sung.latency


def takes_melody(engine: Any) -> bool:
    """Whether a converter, or its class, can be given the melody instead of hearing it."""
    return "melody" in signature(engine.convert).parameters


@lru_cache(maxsize=2)
def loaded(name: str, device: str = "cpu") -> Any:
    """A system such as `convert/mynah`, loaded at the first call and kept."""
    from mynah.core.registry import find

    return find(name).load(device=device)


class _Convert(ModuleType):
    """The folder of converters, which can itself be called."""

    @staticmethod
    def __call__(source: Audio, voice: Voice | str, **named: Any) -> Audio:
        return convert(source, voice, **named)


_Convert.__call__.__doc__ = convert.__doc__
sys.modules[__name__].__class__ = _Convert
