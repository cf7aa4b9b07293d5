"""What Tacotron 2 reads: letters, marks, and sounds of ARPAbet between braces, as the published numbers have them."""

from __future__ import annotations

import re

from mynah.text.keithito import english

PAD = "_"
TIE = "+"
MARKS = "-!'(),.:;? "
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W"),
    *("Y", "Z", "ZH"),
)
# Every vowel without and with a degree of stress; the order is that of the alphabet.
ARPABET = sorted([*_CONSONANTS, *(vowel + stress for vowel in _VOWELS for stress in ("", "0", "1", "2"))])
SYMBOLS = [PAD, *MARKS, *LETTERS, *(f"@{sound}" for sound in ARPABET)]
_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS) if symbol != PAD}


def tied(text: str) -> str:
    """A text whose sounds between braces hang together, so that no sentence ends among them.

    Example:

        >>> tied("Say {HH AH0 L OW1} now")
        'Say {HH+AH0+L+OW1} now'
    """
    return re.sub(r"\{[^{}]+\}", lambda found: TIE.join(found[0].split()), text)


def numbers_of(text: str) -> list[int]:
    """A text as the net reads it; what it has no symbol for is left out.

    Args:
        text: English; sounds of ARPAbet may stand between braces.

    Raises:
        MissingExtra: A library is not installed.

    Example:

        >>> numbers_of("Turn {AW1}!")
        [57, 58, 55, 51, 11, 82, 2]
        >>> "".join(SYMBOLS[number] for number in numbers_of("No. 7"))
        'no. seven'
    """
    told: list[str] = []
    for place, part in enumerate(re.split(r"\{([^{}]+)\}", text)):
        told += (
            [f"@{sound}" for sound in part.replace(TIE, " ").split()] if place % 2 else english(part) if part else ""
        )
    return [_NUMBERS[symbol] for symbol in told if symbol in _NUMBERS]
