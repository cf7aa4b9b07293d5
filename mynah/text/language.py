"""Which of two languages a text is written in."""

from __future__ import annotations

import re

_GERMAN = """
der die das und ist ich du er sie es wir ihr nicht ein eine einen einem einer den dem des zu im am mit von auf für sich
auch so wie hat war sind wird aus bei nach als noch nur aber wenn oder was guten guter gute tag morgen abend hallo danke
bitte ja nein mein dein sein kein heute hier dort sehr mal man bin bist habe haben
"""
_ENGLISH = """
the and is i you he she it we they not a an of to in on at with from for be are was were has have had this that these
those as by or but if what which who his her their our your my me so do does did will would can could there here no yes
hello good morning evening thank thanks please very all one some any into about how when
"""
WORDS = {"de": frozenset(_GERMAN.split()), "en": frozenset(_ENGLISH.split())}


def language_of(text: str, otherwise: str = "en") -> str:
    """`"de"` or `"en"`, told by small words and by letters that only one of them has.

    Args:
        text: Any length.
        otherwise: What is said where neither speaks up.

    Example:

        >>> language_of("Guten Morgen!"), language_of("Good morning!"), language_of("Hm.", "de")
        ('de', 'en', 'de')
    """
    words = re.findall(r"[^\W\d_]+", text.lower())
    votes = {language: sum(word in known for word in words) for language, known in WORDS.items()}
    votes["de"] += 2 * sum(any(letter in word for letter in "äöüß") for word in words)
    if votes["de"] == votes["en"]:
        return otherwise
    return "de" if votes["de"] > votes["en"] else "en"
