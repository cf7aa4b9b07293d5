"""Voices as a list to choose from, with what singers want to know of them."""

from __future__ import annotations

import math

from mynah.serve.people import parts
from mynah.studio.words import Words
from mynah.voices import library

_NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


def choices(said: Words) -> list[tuple[str, str]]:
    """Every usable voice: what is shown, and its name."""
    return [(shown(voice, said), voice.name) for voice in library.names() if voice.kind != "damaged"]


def shown(voice: library.Summary, said: Words) -> str:
    """A voice in a line."""
    range_ = notes(voice.range_hz)
    return f"{voice.name} · {range_} · {said(voice.kind)}" if range_ else f"{voice.name} · {said(voice.kind)}"


def notes(range_hz: tuple[float, float]) -> str:
    """A range as singers say it; empty where nobody knows.

    Example:

        >>> notes((261.6, 440.0)), notes((0, 0))
        ('C4–A4', '')
    """
    if not all(hz > 0 for hz in range_hz):
        return ""
    low, high = (round(69 + 12 * math.log2(hz / 440)) for hz in range_hz)
    return f"{_NAMES[low % 12]}{low // 12 - 1}–{_NAMES[high % 12]}{high // 12 - 1}"


def system_of(spec: str) -> str:
    """The one system that a voice of the library belongs to; empty for any, and for a mixture.

    Raises:
        UnknownVoice: No such voice.
        BadOption: A mixture that makes no sense.
    """
    known = parts(spec)
    return library.system_of(known[0][0]) if len(known) == 1 else ""
