"""English as keithito/tacotron reads it out: what Tacotron 2, ForwardTacotron and SV2TTS were trained to be told.

Letters become ASCII, numbers and money become words, and eighteen abbreviations are spelt out, in that order and in
these words. What differs from the original: letters are told by AnyASCII, because Unidecode is under the GPL. Both
agree on Latin letters but for capital digraphs (Æ is `Ae`, not `AE`) and a few rare ones; other scripts are told
otherwise; pictures are left out by both. Pounds are pounds, where the original first made `PS` of the sign. Numbers of
more than 36 digits, at which the original fails, are told digit by digit.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from mynah.core.errors import MissingExtra

ABBREVIATIONS = {
    "mrs": "misess", "mr": "mister", "dr": "doctor", "st": "saint", "co": "company", "jr": "junior", "maj": "major",
    "gen": "general", "drs": "doctors", "rev": "reverend", "lt": "lieutenant", "hon": "honorable", "sgt": "sergeant",
    "capt": "captain", "esq": "esquire", "ltd": "limited", "col": "colonel", "ft": "fort",
}  # fmt: skip
_ABBREVIATED = {re.compile(rf"\b{short}\.", re.IGNORECASE): whole for short, whole in ABBREVIATIONS.items()}
# Where AnyASCII has something else that is often met.
_OTHERWISE = {
    "—": "--", "―": "--", "„": ",,", "‚": ",", "×": "x", "·": "*", "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "£": "£",
    "\N{ZERO WIDTH SPACE}": " ", "→": "-", "←": "-",
}  # fmt: skip
_LONGEST = 36  # digits that inflect has words for
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def english(text: str, *, lower: bool = True) -> str:
    """A text in plain words.

    Args:
        text: In any letters.
        lower: Whether capitals become small.

    Raises:
        MissingExtra: A library is not installed.

    Example:

        >>> english("Dr. Müller paid $3.50 in 1999!")
        'doctor muller paid three dollars, fifty cents in nineteen ninety-nine!'
    """
    text = ascii_letters(text)
    text = numbers(text.lower() if lower else text)
    for short, whole in _ABBREVIATED.items():  # one after another, because each takes a full stop away
        text = short.sub(whole, text)
    return collapsed(text)


def collapsed(text: str) -> str:
    """One space wherever there is any."""
    return re.sub(r"\s+", " ", text)


def ascii_letters(text: str) -> str:
    """In ASCII, but for the sign of pounds; what has no letters is left out.

    Raises:
        MissingExtra: AnyASCII is not installed.
    """
    if text.isascii():
        return text
    try:
        from anyascii import anyascii
    except ImportError:
        raise MissingExtra("anyascii", "speak") from None

    def plain(letter: str) -> str:
        told = _OTHERWISE.get(letter) or anyascii(letter)
        # It describes pictures as :grinning:, and nobody says that.
        return "" if len(told) > 2 and told[0] == told[-1] == ":" else told

    return "".join(letter if letter.isascii() else plain(letter) for letter in text)


def numbers(text: str) -> str:
    """Numbers, money and ordinals in words.

    Raises:
        MissingExtra: inflect is not installed.

    Example:

        >>> numbers("5,234 men; the 22nd; 3.14; $1.50; 2005, 1900, 1805")
        'five thousand, two hundred thirty-four men; the twenty-second; three point fourteen; one dollar, fifty cents;
        two thousand five, nineteen hundred, eighteen oh five'
    """
    if not re.search("[0-9]", text):
        return text
    text = re.sub(r"[0-9][0-9,]+[0-9]", lambda found: found[0].replace(",", ""), text)
    text = re.sub(r"£([0-9,]*[0-9]+)", r"\1 pounds", text)
    text = re.sub(r"\$([0-9.,]*[0-9]+)", _dollars, text)
    # No digit before, and none given back: so that a text of nothing but digits takes no longer than others.
    text = re.sub(r"(?<![0-9])[0-9]++\.[0-9]+", lambda found: found[0].replace(".", " point "), text)
    text = re.sub(r"(?<![0-9])([0-9]++)(st|nd|rd|th)", _ordinal, text)
    return re.sub(r"[0-9]+", lambda found: _cardinal(found[0]), text)


def _dollars(found: re.Match[str]) -> str:
    parts = found[1].split(".")
    if len(parts) > 2:
        return f"{found[1]} dollars"
    whole, cents = (part.replace(",", "").lstrip("0") for part in (*parts, "")[:2])
    told = [
        f"{count} {unit}{'' if count == '1' else 's'}" for count, unit in ((whole, "dollar"), (cents, "cent")) if count
    ]
    return ", ".join(told) or "zero dollars"


def _ordinal(found: re.Match[str]) -> str:
    if len(found[1]) > _LONGEST:
        return f"{_digits(found[1])} {found[2]}"
    return str(_inflect().number_to_words(found[0]))


def _cardinal(digits: str) -> str:
    if len(digits.lstrip("0")) > _LONGEST:
        return _digits(digits)
    number, words = int(digits), _inflect().number_to_words
    if 1000 < number < 3000 and number != 2000:
        if 2000 < number < 2010:
            return f"two thousand {words(number % 100)}"
        if number % 100 == 0:
            return f"{words(number // 100)} hundred"
        return str(words(number, andword="", zero="oh", group=2)).replace(", ", " ")
    return str(words(number, andword=""))


def _digits(digits: str) -> str:
    return " ".join(_DIGITS[int(digit)] for digit in digits)


@cache
def _inflect() -> Any:
    try:
        import inflect
    except ImportError:
        raise MissingExtra("inflect", "speak") from None
    return inflect.engine()
