"""Convert: give a recording another voice, and keep its words, melody and length.

The folder holds one system per file; the module itself can be called, so that `mynah.convert(source, "me")` reads as it
sounds. Importing it is cheap: torch and the system come in with the first call.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from inspect import signature
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
    system: str = DEFAULT,
    melody: Contour | None = None,
    device: str = "cpu",
    **options: Any,
) -> Audio:
    """Let somebody else sing or say it.

    Args:
        source: What is sung or said, one melody at a time.
        voice: Who should be heard: a voice, or what `mynah.voice` understands: a name, a sound file, or a mixture
            such as `"a:0.7,b:0.3"`.
        system: One of the files of this folder; loaded at the first call and kept.
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
    from mynah.core.registry import find
    from mynah.core.verbs import options_of

    name = f"convert/{system}"
    chosen = options_of(find(name), "convert").of(**options)
    if isinstance(voice, str):
        from mynah.voices.library import find as find_voice

        voice = find_voice(voice)
    if voice.system not in ("", name):
        raise BadVoice(
            f"the voice {voice.name!r} was made for {voice.system}: convert with that system, not with {name}"
        )
    engine = _loaded(name, device)
    if melody is None:
        result: Audio = engine.convert(source, voice, chosen)
        return result
    if "melody" not in signature(engine.convert).parameters:
        raise BadOption(f"{name} finds the melody by itself: leave `melody` away")
    result = engine.convert(source, voice, chosen, melody=melody)
    return result


@lru_cache(maxsize=2)
def _loaded(name: str, device: str) -> Any:
    from mynah.core.registry import find

    return find(name).load(device=device)


class _Convert(ModuleType):
    """The folder of converters, which can itself be called."""

    @staticmethod
    def __call__(source: Audio, voice: Voice | str, **named: Any) -> Audio:
        return convert(source, voice, **named)


_Convert.__call__.__doc__ = convert.__doc__
sys.modules[__name__].__class__ = _Convert
