"""Character error: how much of a text a listener got wrong."""

from __future__ import annotations

import re
import unicodedata


def plain(text: str) -> str:
    """Small letters and single spaces: what a text and its transcript are compared by.

    Example:

        >>> plain("Guten  Morgen, Müller's!")
        "guten morgen müller's"
    """
    kept = re.sub(r"[^\w\s']|_", " ", unicodedata.normalize("NFC", text).lower().replace("’", "'"))
    return " ".join(kept.split())


def distance(said: str, heard: str) -> int:
    """Letters to be changed, left out or put in until one is the other (Levenshtein).

    Example:

        >>> distance("morgen", "morden"), distance("", "ja"), distance("guten", "gute n")
        (1, 2, 1)
    """
    row = list(range(len(heard) + 1))
    for first, letter in enumerate(said, 1):
        before, row[0] = row[0], first
        for second, other in enumerate(heard, 1):
            before, row[second] = row[second], min(before + (letter != other), row[second] + 1, row[second - 1] + 1)
    return row[-1]


def character_error(pairs: list[tuple[str, str]]) -> float:
    """Share of the letters of all texts that are wrong; 0 at best, and above 1 where more was heard than said.

    Args:
        pairs: What was said and what was heard, both already `plain`.

    Raises:
        ValueError: Nothing was said.

    Example:

        >>> character_error([("guten", "gute"), ("morgen", "morgen")])
        0.09090909090909091
    """
    letters = sum(len(said) for said, _ in pairs)
    if not letters:
        raise ValueError("character error needs a text")
    return sum(distance(said, heard) for said, heard in pairs) / letters
