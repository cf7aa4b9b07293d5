"""A text in sentences, of which each can be spoken in one breath."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mynah.core.errors import BadText

_END = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’»«)\]]*(?=\s)|[。！？]+[」』]?|\n\s*\n")
# A full stop after these ends no sentence, nor does one after a single letter or a day of a month.
_SHORT = {
    *("mr", "mrs", "ms", "dr", "drs", "prof", "st", "jr", "sr", "rev", "gen", "col", "capt", "lt", "sgt", "maj", "hon"),
    *("ltd", "co", "vs", "dept", "bzw", "ca", "evtl", "ggf", "inkl", "hr", "fr", "tel", "vgl", "sog", "geb", "gest"),
}
_NUMBERED = {"no", "fig", "vol", "nr", "bd", "abs", "art", "jh", "kap"}
"""Only where a number follows."""
_BREATHS = re.compile(r"[,;:–—、，；：](?=\s|$)|[、，；：]")


def sentences(text: str, longest: int = 300) -> list[str]:
    """What is to be said, one sentence after another; pictures and control characters are left out.

    Args:
        text: Of any length; an empty line ends a sentence, too.
        longest: Characters. What is longer is parted at a comma, else between words, else anywhere.

    Returns:
        Sentences with single spaces and at least one letter or digit each.

    Raises:
        BadText: There is nothing to say in it.

    Example:

        >>> sentences("Dr. Smith, No. 3, came on the 4. of May. He said: \\"Well!\\" Then he left...\\tAnd?")
        ['Dr. Smith, No. 3, came on the 4. of May.', 'He said: "Well!"', 'Then he left...', 'And?']
    """
    told = [part for sentence in _ended(spoken(text)) for part in _breaths(sentence, longest)]
    told = [part for part in told if any(map(str.isalnum, part))]
    if not told:
        what = "it is empty" if not text.strip() else f"{text.strip()[:20]!r} holds neither letters nor digits"
        raise BadText(f"there is nothing to say in this text: {what}")
    return told


def spoken(text: str) -> str:
    """A text without what nobody can say: control characters, halves of characters, pictures.

    Example:

        >>> spoken("a\\x00b\\u200bc \\U0001f600 d\\r\\ne")
        'abc  d\\ne'
    """
    text = re.sub(r"\r\n?|\x85|\u2028", "\n", text).replace("\u2029", "\n\n")
    text = "".join(" " if letter in "\t\x0b\x0c" else letter for letter in text)
    return "".join(letter for letter in text if letter == "\n" or not _unspeakable(letter))


def _unspeakable(letter: str) -> bool:
    if letter.isascii():
        return not letter.isprintable()
    kind = unicodedata.category(letter)
    # Signs such as © and ° can be said; what lies beyond those of text is a picture.
    picture = kind in ("So", "Sk") and ord(letter) >= 0x2190
    return picture or kind.startswith("C") or 0xFE00 <= ord(letter) <= 0xFE0F


def _ended(text: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(text):
        if _ends(text, start, end):
            yield text[start : end.end()]
            start = end.end()
    yield text[start:]


def _ends(text: str, start: int, end: re.Match[str]) -> bool:
    after = text[end.end() : end.end() + 40].lstrip()[:1]
    if after.islower() and end[0] != "…" and not end[0].isspace():
        return False
    if end[0] != ".":
        return True
    word = text[max(start, end.start() - 20) : end.start()].split()[-1:] or [""]
    last = word[0].strip("(\"'„“‘»«[").lower()
    short = len(last) == 1 and last.isalpha() and last != "i"
    day = last.isdigit() and len(last) <= 2
    numbered = last in _NUMBERED and after.isdigit()
    return not (last in _SHORT or short or day or numbered or re.fullmatch(r"(\w\.)+\w", last))


def _breaths(sentence: str, longest: int) -> Iterator[str]:
    rest = " ".join(sentence.split())
    while len(rest) > longest:
        breaths = [found.end() for found in _BREATHS.finditer(rest, 0, longest)]
        # One at the very beginning would leave next to nothing in the first part.
        at = breaths[-1] if breaths and breaths[-1] > longest // 4 else rest.rfind(" ", 0, longest) + 1 or longest
        yield rest[:at].strip()
        rest = rest[at:].strip()
    if rest:
        yield rest
