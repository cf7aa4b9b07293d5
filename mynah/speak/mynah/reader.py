"""Who read what the nets learnt from, and how a sentence gets from letters to what they read."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any, Self

from mynah.core.errors import BadText
from mynah.speak.mynah.tokens import LANGUAGES, Tokens, pronounced, tokens
from mynah.text.normalise import normalised
from mynah.text.phonemes import phonemes

ESPEAK = {"de": "de", "en": "en-us"}


@dataclass(frozen=True)
class Readers:
    """Whose manners of reading a net knows.

    Attributes:
        names: The last, nameless one is everybody who read little.
        level_db: How loud each spoke, in the mean.
        pace: What predicted durations are to be multiplied by, for each.
        languages: The number of who reads it, by language.
    """

    names: tuple[str, ...] = ("", "", "")
    level_db: tuple[float, ...] = (-30.0, -30.0, -30.0)
    pace: tuple[float, ...] = (1.0, 1.0, 1.0)
    languages: dict[str, int] = field(default_factory=lambda: {"de": 0, "en": 1})

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """From what an exported file says."""
        return cls(tuple(told["names"]), tuple(told["level_db"]), tuple(told["pace"]), dict(told["languages"]))

    def number(self, language: int) -> int:
        """Who reads a language, by its place in `LANGUAGES`; the last one where nobody learnt it."""
        return self.languages.get(LANGUAGES[language], len(self.names) - 1)


def said_in(sentence: str, language: str) -> Tokens | None:
    """A sentence as tokens, or None where nothing of it is pronounced.

    Raises:
        BadText: It is in a script that no reader knows.

    Example:

        >>> said_in("Привет", "en")
        Traceback (most recent call last):
        mynah.core.errors.BadText: 'Привет' is in letters that this speaker cannot read: it reads German and English
    """
    for word in sentence.split():
        if any(char.isalpha() and not unicodedata.name(char, "LATIN").startswith("LATIN") for char in word):
            raise BadText(f"{word[:20]!r} is in letters that this speaker cannot read: it reads German and English")
    said = tokens(phonemes(normalised(sentence, language), ESPEAK[language]), language)
    return said if pronounced(said) else None
