"""Phonemes: how a text sounds, in the letters of the International Phonetic Association, by eSpeak NG."""

from __future__ import annotations

from functools import cache
from typing import Any

from mynah.core.errors import BadOption, MissingExtra

MARKS = ",.;:!?…"
"""What stays of punctuation."""


def phonemes(text: str, language: str = "en-us") -> str:
    """A text in IPA, with stress marks, spaces between words, and its punctuation.

    Words that eSpeak knows to be of another language are spoken as there, as far as it can.

    Args:
        text: Words; numbers and abbreviations are better spelt out before (`mynah.text.normalise`).
        language: As eSpeak calls it: `"de"`, `"en-us"`, `"fr-fr"`, ...

    Raises:
        BadOption: eSpeak does not know the language.
        MissingExtra: Its library is not installed.

    Example:

        >>> phonemes("Guten Morgen!", "de")
        'ɡˈuːtən mˈɔɾɡən!'
    """
    words = " ".join(text.split())
    return "".join(_backend(language).phonemize([words], strip=True)) if words else ""


@cache
def _backend(language: str) -> Any:
    try:
        import espeakng_loader
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError:
        raise MissingExtra("phonemizer and espeakng-loader", "speak") from None
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    try:
        return EspeakBackend(language, preserve_punctuation=True, with_stress=True, language_switch="remove-flags")
    except RuntimeError:
        raise BadOption(f"eSpeak knows no language {language!r}: such as de, en-us, fr-fr") from None
