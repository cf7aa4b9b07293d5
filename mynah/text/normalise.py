"""Numbers, dates, amounts and abbreviations in words, German and English: what a speaker must be told in full."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from mynah.core.errors import BadOption, MissingExtra

LANGUAGES = ("de", "en")

MONTHS = {
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
           "Dezember"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December"),
}  # fmt: skip
# What is written short and spoken long. A capital letter or the full stop is part of what tells them from words.
SHORT = {
    "de": {
        "z. B.": "zum Beispiel", "z.B.": "zum Beispiel", "d. h.": "das heißt", "d.h.": "das heißt",
        "u. a.": "unter anderem", "u.a.": "unter anderem", "usw.": "und so weiter", "bzw.": "beziehungsweise",
        "ca.": "circa", "Dr.": "Doktor", "Prof.": "Professor", "Nr.": "Nummer", "St.": "Sankt", "Str.": "Straße",
        "Mio.": "Millionen", "Mrd.": "Milliarden", "vgl.": "vergleiche", "evtl.": "eventuell", "ggf.": "gegebenenfalls",
        "Std.": "Stunden", "Min.": "Minuten", "Sek.": "Sekunden", "Jh.": "Jahrhundert", "v. Chr.": "vor Christus",
        "n. Chr.": "nach Christus",
    },
    "en": {
        "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "Mr.": "Mister", "Mrs.": "Missis", "Ms.": "Miss",
        "Dr.": "Doctor", "Prof.": "Professor", "St.": "Saint", "vs.": "versus",
        "approx.": "approximately",
        "Jr.": "junior", "Sr.": "senior", "Co.": "company", "Ltd.": "limited",
    },
}  # fmt: skip
SIGNS = {
    "de": {"%": "Prozent", "&": "und", "+": "plus", "=": "gleich", "@": "at", "#": "Nummer",
           "°C": "Grad Celsius", "°": "Grad", "§": "Paragraph"},
    "en": {"%": "percent", "&": "and", "+": "plus", "=": "equals", "@": "at", "#": "number",
           "°C": "degrees Celsius", "°": "degrees"},
}  # fmt: skip
UNITS = {
    "de": {"km/h": "Kilometer pro Stunde", "km": "Kilometer", "cm": "Zentimeter", "mm": "Millimeter", "m": "Meter",
           "kg": "Kilogramm", "g": "Gramm", "kHz": "Kilohertz", "Hz": "Hertz", "dB": "Dezibel", "min": "Minuten",
           "s": "Sekunden", "MB": "Megabyte", "GB": "Gigabyte"},
    "en": {"km/h": "kilometres per hour", "mph": "miles per hour", "km": "kilometres", "cm": "centimetres",
           "mm": "millimetres", "m": "metres", "kg": "kilograms", "g": "grams", "kHz": "kilohertz", "Hz": "hertz",
           "dB": "decibels", "min": "minutes", "s": "seconds", "MB": "megabytes", "GB": "gigabytes"},
}  # fmt: skip
MONEY = {
    "€": {"de": ("Euro", "Euro"), "en": ("euro", "euros")},
    "$": {"de": ("Dollar", "Dollar"), "en": ("dollar", "dollars")},
    "£": {"de": ("Pfund", "Pfund"), "en": ("pound", "pounds")},
}
SILENT = ("Cc", "Cf", "Co", "Cs", "Cn", "So", "Sk")  # categories of Unicode: controls, pictures, marks without a letter
# A date is spoken with the ending that fits "am ...": the commonest by far.
QUOTES = str.maketrans(
    {"„": '"', "“": '"', "”": '"', "«": '"', "»": '"', "’": "'", "‘": "'", "ʻ": "'", "–": ", ", "—": ", "}
)


def normalised(text: str, language: str) -> str:
    """A text as it is said: every number in words, abbreviations in full, no sign that nobody pronounces.

    Args:
        text: As people write.
        language: `"de"` or `"en"`.

    Raises:
        BadOption: Another language.
        MissingExtra: num2words is not installed.

    Example:

        >>> normalised("Am 3.10.1990 um 14:30 Uhr kostete es 3,50 €.", "de")
        'Am dritten Oktober neunzehnhundertneunzig um vierzehn Uhr dreißig kostete es drei Euro fünfzig.'
        >>> normalised("Dr. Smith paid $2.50 for 21 eggs on the 3rd, i.e. 12%.", "en")
        'Doctor Smith paid two dollars fifty for twenty-one eggs on the third, that is twelve percent.'
    """
    if language not in LANGUAGES:
        raise BadOption(f"numbers cannot be put into words in {language!r}: choose among {', '.join(LANGUAGES)}")
    text = unicodedata.normalize("NFKC", text.replace("…", "...")).translate(QUOTES)
    # Control characters, emoji and other pictures are silent.
    text = "".join(" " if unicodedata.category(char) in SILENT and char != "°" else char for char in text)
    for short in sorted(SHORT[language], key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(short)}", SHORT[language][short], text)
    text = re.sub(r"(?<=[^\W\d_])(?=\d)", " ", text)
    if language == "en":
        text = re.sub(r"\bNo\.\s?(?=\d)", "number ", text)  # elsewhere it is a word and the end of a sentence
    if re.search(r"\d", text):
        text = _numbers(text, language)
    for sign, said in SIGNS[language].items():
        text = text.replace(sign, f" {said} ")
    text = re.sub(r"(?<=\S)[:/]+(?=\S)", " ", text)
    text = re.sub(r"[^\w\s,.;:!?'\"()/-]|_", " ", text)
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    text = re.sub(r",(\s*,)+", ",", text)
    return " ".join(text.split())


def _numbers(text: str, language: str) -> str:
    german = language == "de"

    def say(number: str | int | float, to: str = "cardinal") -> str:
        return _words(number, language, to)

    def dated(match: re.Match[str]) -> str:
        day, month, year = int(match[1]), int(match[2]), match[3]
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return match[0]
        told = f"{_inflected(say(day, 'ordinal'))} {MONTHS['de'][month - 1]}"
        return f"{told} {say(int(year), 'year')}" if year else told

    def iso(match: re.Match[str]) -> str:
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return match[0]
        if german:
            return f"{_inflected(say(day, 'ordinal'))} {MONTHS['de'][month - 1]} {say(year, 'year')}"
        return f"{MONTHS['en'][month - 1]} {say(day, 'ordinal')}, {say(year, 'year')}"

    def clock(match: re.Match[str]) -> str:
        hour, minute = int(match[1]), int(match[2])
        if hour > 24 or minute > 59:
            return f"{say(hour)} {say(minute)}"
        if german:
            return f"{'ein' if hour == 1 else say(hour)} Uhr" + (f" {say(minute)}" if minute else "")
        return say(hour) + (f" {'oh ' if minute < 10 else ''}{say(minute)}" if minute else " o'clock")

    def paid(amount: str, sign: str) -> str:
        whole, _, cents = _plain(amount, language).partition(".")
        one, many = MONEY[sign][language]
        count = int(whole or 0)
        told = f"{'ein' if german and count == 1 else say(count)} {one if count == 1 else many}"
        return f"{told} {say(int(cents[:2].ljust(2, '0')))}" if cents.strip("0") else told

    def ordinal(match: re.Match[str]) -> str:
        return say(int(match[1]), "ordinal")

    def german_ordinal(match: re.Match[str]) -> str:
        return _inflected(say(int(match[1]), "ordinal"))

    def number(match: re.Match[str]) -> str:
        digits = match[0]
        if re.fullmatch(r"1[1-9]\d\d|20[1-9]\d" if not german else r"1[1-9]\d\d", digits):
            return say(int(digits), "year")
        if len(digits) > 15 or (len(digits) > 1 and digits[0] == "0" and digits.isdigit()):
            return " ".join(say(int(digit)) for digit in digits if digit.isdigit())
        plain = _plain(digits, language)
        whole, _, part = plain.partition(".")
        told = say(int(whole or 0))
        if part:
            told += f" {'Komma' if german else 'point'} " + " ".join(say(int(digit)) for digit in part)
        return told

    amount = r"\d+(?:[.,]\d+)*"
    rules: list[tuple[str, Callable[[re.Match[str]], str]]] = [
        (r"\b(\d{4})-(\d{2})-(\d{2})\b", iso),
        (rf"([€$£])\s?({amount})", lambda match: paid(match[2], match[1])),
        (rf"({amount})\s?([€$£])", lambda match: paid(match[1], match[2])),
    ]
    if german:
        months = "|".join(MONTHS["de"])
        rules += [
            (r"\b(\d{1,2})\.\s?(\d{1,2})\.(?:\s?(\d{4}))?(?!\d)", dated),
            (r"\b(\d{1,2}):(\d{2})(?:\s?Uhr)?\b", clock),
            (rf"\b(\d{{1,2}})\.(?=\s(?:{months}|Jahrhundert))", german_ordinal),
        ]
    else:
        rules += [(r"\b(\d{1,2}):(\d{2})\b", clock), (r"\b(\d+)(?:st|nd|rd|th)\b", ordinal)]
    units = "|".join(re.escape(unit) for unit in sorted(UNITS[language], key=len, reverse=True))
    rules += [
        (rf"(?<=\d)\s?({units})\b", lambda match: f" {UNITS[language][match[1]]}"),
        (r"(?<![\w.,])-(?=\d)", lambda match: "minus "),
        (amount, number),
    ]
    for pattern, said in rules:
        text = re.sub(pattern, said, text)
    return text


def _plain(amount: str, language: str) -> str:
    """A number with at most one point, the decimal one: `1.234,5` as `1234.5` in German."""
    thousands, point = (".", ",") if language == "de" else (",", ".")
    if re.fullmatch(rf"\d{{1,3}}(?:\{thousands}\d{{3}})+(?:\{point}\d+)?", amount) or thousands not in amount:
        return amount.replace(thousands, "").replace(point, ".", 1)
    whole, _, rest = amount.partition(thousands)  # the other country's manner of writing
    return f"{whole}.{re.sub('[^0-9]', '', rest)}"


def _inflected(ordinal: str) -> str:
    return re.sub(r"te$", "ten", ordinal)


def _words(number: str | int | float, language: str, to: str) -> str:
    try:
        from num2words import num2words
    except ImportError:
        raise MissingExtra("num2words", "speak") from None
    said: str = num2words(number, lang=language, to=to)
    return said.replace(",", "")
