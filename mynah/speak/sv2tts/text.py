"""English text as the synthesizer of SV2TTS was taught to read it: 66 symbols, and one that ends a sentence."""

from __future__ import annotations

import string

from mynah.text.keithito import english

SYMBOLS = ("_", "~", *string.ascii_uppercase, *string.ascii_lowercase, *"!'\"(),-.:;? ")
END = SYMBOLS.index("~")
_NUMBER = {symbol: number for number, symbol in enumerate(SYMBOLS) if symbol not in "_~"}


def numbers_of(text: str) -> list[int]:
    """The symbols of a text, with the end; what it has no symbol for is left out. Empty where no letter is left.

    Raises:
        MissingExtra: A library is not installed.

    Example:

        >>> [SYMBOLS[number] for number in numbers_of("Ja, 2!")]
        ['j', 'a', ',', ' ', 't', 'w', 'o', '!', '~']
        >>> numbers_of("?!")
        []
    """
    plain = english(text.strip())
    if not any(letter in string.ascii_letters for letter in plain):
        return []
    return [_NUMBER[letter] for letter in plain if letter in _NUMBER] + [END]
