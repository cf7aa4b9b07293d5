"""Whisper's tokens: pieces of text as bytes, then specials, languages and times."""

from __future__ import annotations

import base64
import binascii
import json
import re
import string
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from mynah.core.errors import BadCheckpoint
from mynah.text.listening import UNSPACED

_CODES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)
LANGUAGES = _CODES.split()
TIMES = 1501  # 0 to 30 s
STEP_SECONDS = 0.02  # between two of them

_RUNS = "<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪"
_MARKS = [*'"#()*+/:;<=>@[\\]^_`{|}~「」『』', *_RUNS.split()]
_NOTES = list("♩♪♫♬♭♮♯")
# GPT-2 cuts text into these before it looks for pieces; letters are here `L`, digits `N`, blanks `S`, all else `O`.
_CUTS = re.compile(r" ?L+| ?N+| ?O+|[S ]+(?![^S ])|[S ]+")
_SHORT = re.compile(r"'(?:s|t|re|ve|m|ll|d)")


class Tokens:
    """A vocabulary.

    Args:
        pieces: Bytes of the tokens of text, in their order; they come first.
        specials: All others by name, such as `<|startoftranscript|>`, times left out.
        size: How many tokens there are.

    Raises:
        BadCheckpoint: It is not laid out like a Whisper's.
    """

    def __init__(self, pieces: Sequence[bytes], specials: Mapping[str, int], size: int) -> None:
        self.pieces = list(pieces)
        self.numbers = {piece: number for number, piece in reversed(list(enumerate(self.pieces)))}
        try:
            self.end = specials["<|endoftext|>"]
            self.start = specials["<|startoftranscript|>"]
            self.translate, self.transcribe = specials["<|translate|>"], specials["<|transcribe|>"]
            self.other_model, self.before = specials["<|startoflm|>"], specials["<|startofprev|>"]
            self.silence = specials.get("<|nospeech|>", specials.get("<|nocaptions|>", -1))
            self.timeless = specials["<|notimestamps|>"]
        except KeyError as error:
            raise BadCheckpoint(f"the vocabulary is no Whisper's: it lacks {error}") from error
        self.first_time = self.timeless + 1
        names = {name[2:-2]: number for name, number in specials.items() if self.start < number < self.translate}
        self.languages = {name: number for name, number in names.items() if name in LANGUAGES}
        bytewise = all(bytes([byte]) in self.numbers for byte in range(256))
        if (
            not bytewise
            or self.silence < 0
            or len(self.pieces) != self.end
            or not size >= self.first_time + TIMES > self.start
        ):
            raise BadCheckpoint(f"the vocabulary is no Whisper's: it does not fit {size} tokens")
        # As CTranslate2 tells them apart: the English models lack the piece of no bytes.
        self.multilingual = b"" in self.numbers

    @property
    def size(self) -> int:
        """Tokens in all."""
        return self.first_time + TIMES

    def text(self, numbers: Sequence[int]) -> str:
        """What tokens say; specials and times say nothing.

        Example:

            >>> small_vocabulary().text([72, 105, 256])
            'Hi'
        """
        return b"".join(self.pieces[number] for number in numbers if number < self.end).decode(errors="replace")

    def numbers_of(self, text: str) -> list[int]:
        """The tokens of a text, as byte pair encoding finds them.

        Example:

            >>> small_vocabulary().numbers_of("Hi é")
            [72, 105, 32, 195, 169]
        """
        found: list[int] = []
        for part in _parts(text):
            pieces = [bytes([byte]) for byte in part.encode()]
            while len(pieces) > 1:
                pairs = [self.numbers.get(left + right, self.end) for left, right in pairwise(pieces)]
                best = min(pairs)
                if best == self.end:
                    break
                at = pairs.index(best)
                pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
            found += [self.numbers[piece] for piece in pieces]
        return found

    @cached_property
    def unsaid(self) -> list[int]:
        """Tokens that nobody says: brackets, notes, marks of captions. Hyphens and quotes within words remain."""
        found = {self.numbers_of(" -")[0], self.numbers_of(" '")[0]}
        for mark in _MARKS + _NOTES:
            for numbers in (self.numbers_of(mark), self.numbers_of(" " + mark)):
                if len(numbers) == 1 or mark in _NOTES:  # of a note that is no single token, the first says enough
                    found.add(numbers[0])
        return sorted(found)

    def words(self, numbers: Sequence[int], language: str) -> list[list[int]]:
        """Tokens of text put together into words, with the blank before them; characters where there are no blanks."""
        characters = list(self._characters(numbers))
        if language in UNSPACED:
            return characters
        words: list[list[int]] = []
        for part in characters:
            said = self.text(part)
            if not words or said.startswith(" ") or said.strip() in string.punctuation:
                words.append(part)
            else:
                words[-1] = words[-1] + part
        return words

    def _characters(self, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Tokens put together until they are whole characters."""
        whole, at = self.text(numbers), 0
        part: list[int] = []
        for number in numbers:
            part.append(number)
            said = self.text(part)
            broken = said.find("\ufffd")
            if broken < 0 or whole[at + broken : at + broken + 1] == "\ufffd":
                yield part
                at, part = at + len(said), []
        if part:
            yield part


def _parts(text: str) -> Iterator[str]:
    kinds = "".join(" " if letter == " " else _kind(letter) for letter in text)
    at = 0
    while at < len(text):
        found = _SHORT.match(text, at) or _CUTS.match(kinds, at)
        assert found  # every kind is in the pattern
        yield text[at : found.end()]
        at = found.end()


def _kind(letter: str) -> str:
    if letter.isspace():
        return "S"
    category = unicodedata.category(letter)[0]
    return category if category in "LN" else "O"


def from_tiktoken(path: Path, size: int) -> Tokens:
    """The vocabulary of openai/whisper: a file of pieces, and specials in an order that is always the same.

    Raises:
        BadCheckpoint: Not such a file.
    """
    try:
        rows = [line.split() for line in path.read_text("ascii").splitlines() if line]
        pieces = [base64.b64decode(piece) for piece, _ in rows]
        in_order = [int(number) for _, number in rows] == list(range(len(rows)))
    except (OSError, ValueError, binascii.Error) as error:
        raise BadCheckpoint(f"{path}: cannot be read as a vocabulary: {error}") from error
    if not in_order:
        raise BadCheckpoint(f"{path}: cannot be read as a vocabulary: its numbers are not in order")
    return Tokens(pieces, specials(len(pieces), size), size)


def specials(first: int, size: int) -> dict[str, int]:
    """Specials from `first` on, with as many languages as make it `size` tokens.

    Raises:
        BadCheckpoint: No number of languages fits.
    """
    count = size - first - 8 - TIMES
    if not 0 < count <= len(LANGUAGES):
        raise BadCheckpoint(f"{size} tokens are no vocabulary of a Whisper")
    tasks = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
    names = ("endoftext", "startoftranscript", *LANGUAGES[:count], *tasks)
    return {f"<|{name}|>": number for number, name in enumerate(names, first)}


def small_vocabulary() -> Tokens:
    """Bytes alone, and all specials, for tests."""
    pieces = [bytes([byte]) for byte in range(256)] + [b""]
    size = len(pieces) + 8 + len(LANGUAGES) + TIMES
    return Tokens(pieces, specials(len(pieces), size), size)


def from_hugging_face(folder: Path, size: int) -> Tokens:
    """The vocabulary in a folder of Hugging Face: `tokenizer.json`, or `vocab.json` with `added_tokens.json`.

    Raises:
        BadCheckpoint: None is there, or none of a Whisper.
    """
    try:
        if (folder / "tokenizer.json").exists():
            told = json.loads((folder / "tokenizer.json").read_text("utf-8"))
            vocabulary = dict(told["model"]["vocab"])
            added = {token["content"]: token["id"] for token in told["added_tokens"]}
        else:
            vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
            file = folder / "added_tokens.json"
            added = json.loads(file.read_text("utf-8")) if file.exists() else {}
    except OSError as error:
        raise BadCheckpoint(f"{folder}: no tokenizer.json and no vocab.json ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(f"{folder}: its vocabulary cannot be read: {error!r}") from error
    numbers = {**vocabulary, **added}
    end = numbers.get("<|endoftext|>", 0)
    by_number = {number: name for name, number in vocabulary.items() if isinstance(number, int) and number < end}
    letters = _bytes_of_letters()
    try:
        pieces = [bytes(letters[letter] for letter in by_number[number]) for number in range(end)]
    except KeyError as error:
        raise BadCheckpoint(f"{folder}: its vocabulary is no Whisper's: it lacks {error}") from error
    names = {name: number for name, number in numbers.items() if name.startswith("<|") and "." not in name}
    return Tokens(pieces, names, size)


def _bytes_of_letters() -> dict[str, int]:
    """GPT-2 writes every byte as a letter that can be seen."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + place): byte for place, byte in enumerate(unseen)}
