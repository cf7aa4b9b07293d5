"""Whose voice a stranger may ask for: voices of the library and mixtures of them, never a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mynah.core.errors import UnknownVoice

if TYPE_CHECKING:
    from mynah.core.types import Voice


def parts(spec: str) -> list[tuple[str, float]]:
    """Names and weights of what is meant; every name is one of the library.

    Raises:
        UnknownVoice: One is not.
        BadOption: A mixture that makes no sense.
    """
    from mynah.voices import library
    from mynah.voices.mixture import parts_of

    try:
        return [(library.describe(spec).name, 1.0)]
    except UnknownVoice:
        if "," not in spec and ":" not in spec:
            raise
    return [(library.describe(name).name, weight) for name, weight in parts_of(spec)]


def somebody(spec: str) -> Voice:
    """The voice that is meant; `mynah.voice` without files.

    Raises:
        UnknownVoice: No such voice.
        BadVoice: Damaged, or a mixture of what cannot be mixed.
    """
    from mynah.voices import library
    from mynah.voices.mixture import mix

    known = parts(spec)
    if len(known) == 1:
        return library.find(known[0][0])
    return mix([(library.find(name, clips=False), weight) for name, weight in known])
