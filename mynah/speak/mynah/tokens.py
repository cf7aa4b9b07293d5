"""What the speaking net reads: one token for each sound of a word, each space and each mark of punctuation."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import torch
from torch import Tensor

LANGUAGES = ("de", "en")
PAUSES = " ,.;:!?"
SOUNDS = "abcdefhijklmnoprstuvwxyzæçðøŋœɐɑɒɔəɚɛɜɡɪɹɾʃʊʌʏʒʔθᵻ"
SYMBOLS = "^$" + PAUSES + SOUNDS
"""`^` and `$` are the silence before and after."""

MODIFIERS = "ː\u0303\u0329"  # long, nasal, syllabic
STRESSES = "ˌˈ"  # the weaker one first
# Sounds that neither language has, and what is nearest; they come with words of other languages.
NEAREST = {
    "g": "ɡ", "ʁ": "ɾ", "ɣ": "ɡ", "β": "v", "ɲ": "n", "ʎ": "j", "ɫ": "l", "ɬ": "ʃ", "ɨ": "ᵻ", "ɯ": "u", "ɤ": "ʌ",
    "ʋ": "v", "ɕ": "ʃ", "ʑ": "ʒ", "ʂ": "ʃ", "ʐ": "ʒ", "ħ": "h", "χ": "x", "q": "k", "ɵ": "ø", "ɶ": "œ", "ɘ": "ə",
    "ɱ": "m", "ɳ": "n", "ʈ": "t", "ɖ": "d", "ɭ": "l", "ɻ": "ɹ", "ʀ": "r", "ɸ": "f", "ʝ": "j", "ɥ": "j", "…": ".",
}  # fmt: skip


@dataclass(frozen=True)
class Tokens:
    """A text as numbers, all of shape `[token]`.

    Attributes:
        symbol: Place in `SYMBOLS`.
        stress: 0 none, 1 secondary, 2 primary.
        manner: Bits: long, nasal, syllabic.
        language: Place in `LANGUAGES`.
    """

    symbol: Tensor
    stress: Tensor
    manner: Tensor
    language: Tensor

    def __len__(self) -> int:
        return len(self.symbol)


def tokens(ipa: str, language: str) -> Tokens:
    """What eSpeak says as tokens, silence at both ends.

    Stress and length belong to the sound that they are written beside. A mark of punctuation swallows the space after
    it, and what has no sound (brackets, quotation marks) is left out.

    Args:
        ipa: From `mynah.text.phonemes`.
        language: `"de"` or `"en"`: the same letter does not sound the same in both.

    Example:

        >>> said = tokens("jˈɑː, aɪ", "en")
        >>> "".join(SYMBOLS[number] for number in said.symbol), said.stress.tolist(), said.manner.tolist()
        ('^jɑ,aɪ$', [0, 0, 2, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0])
    """
    rows: list[list[int]] = [[0, 0, 0]]
    stress = 0
    for char in unicodedata.normalize("NFD", ipa).replace("c\u0327", "ç"):
        char = NEAREST.get(char, char)
        if char in STRESSES:
            stress = STRESSES.index(char) + 1
        elif char in MODIFIERS:
            if SYMBOLS[rows[-1][0]] in SOUNDS:
                rows[-1][2] |= 1 << MODIFIERS.index(char)
        elif char in PAUSES:
            before = SYMBOLS[rows[-1][0]]
            if before in SOUNDS:
                rows.append([SYMBOLS.index(char), 0, 0])
            elif before == " ":
                rows[-1][0] = SYMBOLS.index(char)
        elif char in SOUNDS:
            rows.append([SYMBOLS.index(char), stress, 0])
            stress = 0
    if SYMBOLS[rows[-1][0]] == " ":
        rows.pop()
    rows.append([1, 0, 0])
    symbol, stresses, manner = torch.tensor(rows).unbind(1)
    return Tokens(symbol, stresses, manner, torch.full_like(symbol, LANGUAGES.index(language)))


def pronounced(said: Tokens) -> bool:
    """Whether there is a sound in it at all."""
    return any(SYMBOLS[number] in SOUNDS for number in said.symbol.tolist())
