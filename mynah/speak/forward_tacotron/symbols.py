"""What ForwardTacotron reads: sounds of the International Phonetic Alphabet, as the published numbers have them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Literal, Self

from mynah.text.keithito import collapsed, english
from mynah.text.language import language_of
from mynah.text.normalise import LANGUAGES, normalised
from mynah.text.phonemes import phonemes

PAD = "_"
MARKS = "!'(),.:;? -"
_VOWELS = "iyɨʉɯuɪʏʊeøɘəɵɤoɛœɜɞʌɔæɐaɶɑɒᵻ"
_CONSONANTS = "ʘɓǀɗǃʄǂɠǁʛpbtdʈɖcɟkɡqɢʔɴŋɲɳnɱmʙrʀⱱɾɽɸβfvθðszʃʒʂʐçʝxɣχʁħʕhɦɬɮʋɹɻjɰlɭʎʟ"
_OTHERS = "ˈˌːˑʍwɥʜʢʡɕʑɺɧɚ˞ɫ"
_LATER = "gɝ\N{COMBINING TILDE}\N{COMBINING VERTICAL LINE ABOVE}\N{COMBINING RING BELOW}" + (
    "\N{COMBINING VERTICAL LINE BELOW}\N{COMBINING INVERTED BREVE BELOW}\N{COMBINING DOUBLE INVERTED BREVE}"
)
LATER = PAD + MARKS + _VOWELS + _CONSONANTS + _OTHERS + _LATER
"""Of May 2021 and after, 135."""
EARLIER = "".join(sorted(PAD + MARKS + _VOWELS + _CONSONANTS + _OTHERS))
"""Until then, 127, sorted."""
PAUSES = (PAD + MARKS).replace("-", "")


@dataclass(frozen=True)
class Front:
    """How a text becomes numbers.

    Attributes:
        symbols: Which there are: `"earlier"` or `"later"`.
        language: As eSpeak calls it.
        words: How numbers and abbreviations are put into words: `"english"` as in the original, `"house"` as
            `mynah.text.normalise` does, `"none"` not at all.
        sounds: Whether letters become sounds; else the text has to be written in them.
    """

    symbols: Literal["earlier", "later"] = "later"
    language: str = "en-us"
    words: Literal["english", "house", "none"] = "english"
    sounds: bool = True

    @property
    def alphabet(self) -> str:
        """All symbols, by number."""
        return EARLIER if self.symbols == "earlier" else LATER

    @classmethod
    def of(cls, text: str) -> Self:
        """For readings in the language of a text, German or English."""
        german = language_of(text, "en") == "de"
        return cls(language="de", words="house") if german else cls()

    @classmethod
    def parsed(cls, text: str) -> Self:
        """What `str` of one says.

        Raises:
            ValueError: It is damaged.
            TypeError: The same.
        """
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    def written(self, text: str) -> str:
        """A text as the net reads it.

        Raises:
            MissingExtra: A library is not installed.
            BadOption: eSpeak does not know the language.

        Example:

            >>> Front().written("Hello, 2 worlds!")
            'həloʊ, tuː wɜːldz!'
        """
        if self.words == "english":
            text = english(text, lower=False)
        elif self.words == "house" and self.language[:2] in LANGUAGES:
            text = normalised(text, self.language[:2])
        if self.sounds:
            # The earlier files know a dash, and no stress is marked in any of them.
            dashed = self.symbols == "earlier"
            text = phonemes(text.replace("-", "—") if dashed else text, self.language)
            text = re.sub(r"[ˈˌ'-]+", "", text)
            text = text.replace("—", "-") if dashed else text
        known = set(self.alphabet) - {PAD}
        return collapsed("".join(letter for letter in text if letter in known)).strip()

    def numbers_of(self, text: str) -> list[int]:
        """A text in numbers of symbols; as `written`."""
        numbers = {symbol: number for number, symbol in enumerate(self.alphabet)}
        return [numbers[symbol] for symbol in self.written(text)]
