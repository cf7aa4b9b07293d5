"""Speak: say a text in somebody's voice.

The folder holds one system per file; the module itself can be called, so that `mynah.speak("Good morning")` reads as it
sounds. Importing it is cheap: torch and the system come in with the first call. A voice that a system cannot give by
itself is a scene: `mynah.say` speaks in a voice that it can, and converts.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mynah.core.errors import BadOption, BadVoice

if TYPE_CHECKING:
    from mynah.core.types import Audio, Voice

DEFAULT = "mynah"


def speak(
    text: str,
    voice: Voice | str | None = None,
    *,
    system: str | None = None,
    weights: str = "default",
    device: str = "cpu",
    **options: Any,
) -> Audio:
    """Say a text.

    Args:
        text: What to say.
        voice: Who should be heard: a voice, or what `mynah.voice` understands; by default the system's own.
        system: One of the files of this folder; loaded at the first call and kept. By default whom the voice was made
            for, else the house's own.
        weights: By name, or their file or folder.
        device: Where the nets run, as torch calls it.
        options: By name, as `mynah speak --help` lists them; what is not given keeps its default.

    Raises:
        UnknownSystem: No such system.
        UnknownVoice: No voice of that name.
        BadVoice: A voice that this system cannot give; `mynah.say` can.
        BadText: There is nothing to say.
        BadOption: One line for each option that does not exist or is out of bounds.
    """
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.text.sentences import sentences

    sentences(text)  # whether there is something to say
    if isinstance(voice, str):
        from mynah.voices.library import find as find_voice

        voice = find_voice(voice)
    name = who(system, voice)
    chosen = options_of(find(name), "speak").of(**options)
    engine = loaded(name, device, weights)
    chosen_voice = own(engine, name) if voice is None else voice
    if not gives(engine, chosen_voice):
        raise BadVoice(
            f"{name} cannot give the voice {chosen_voice.name!r} by itself: mynah.say speaks in its own and converts"
        )
    said: Audio = engine.speak(text, chosen_voice, chosen)
    return said


def who(system: str | None, voice: Voice | None) -> str:
    """The system that speaks: the one that is named, else whom the voice was made for, else the house's own."""
    from mynah.core.registry import full

    made_for = voice.system if voice is not None and voice.system.startswith("speak/") else ""
    return full(system or made_for or DEFAULT, "speak")


def own(engine: Any, name: str) -> Voice:
    """The voice that a speaker takes when none is named.

    Raises:
        BadOption: It has none of its own.
    """
    from mynah.core.verbs import OwnVoices

    if not isinstance(engine, OwnVoices):
        raise BadOption(f"{name} has no voice of its own: say whose it should take")
    return engine.own


def gives(engine: Any, voice: Voice) -> bool:
    """Whether a speaker can be asked for a voice: only of those with voices of their own it is known beforehand."""
    from mynah.core.verbs import OwnVoices

    return not isinstance(engine, OwnVoices) or engine.gives(voice)


@lru_cache(maxsize=2)
def loaded(name: str, device: str = "cpu", weights: str = "default") -> Any:
    """A system such as `speak/...`, loaded at the first call and kept."""
    from mynah.core.registry import find

    return find(name).load(weights, device=device)


class _Speak(ModuleType):
    """The folder of speakers, which can itself be called."""

    @staticmethod
    def __call__(text: str, voice: Voice | str | None = None, **named: Any) -> Audio:
        return speak(text, voice, **named)


_Speak.__call__.__doc__ = speak.__doc__
sys.modules[__name__].__class__ = _Speak
