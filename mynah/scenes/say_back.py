"""Say it back: what was spoken is written down again, and sentences that lost words are said once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from mynah.core.errors import BadOption, MissingExtra, Offline
from mynah.core.verbs import options_of
from mynah.metrics.spelling import plain
from mynah.scenes.speech import Speaker, with_pause

if TYPE_CHECKING:
    from mynah.core.types import Audio

TRIES = 3
_ENOUGH = 0.5  # of a word's letters: a listener that spells it otherwise has heard it all the same


@dataclass(frozen=True)
class Heard:
    """A sentence that was spoken and listened to.

    Attributes:
        sound: The best that was said, with the pause after it.
        text: What should be heard.
        heard: What the listener wrote down.
        lost: Words of the text that it did not hear.
        tries: How often it was said.
    """

    sound: Audio
    text: str
    heard: str
    lost: tuple[str, ...]
    tries: int


class Listener:
    """A system that writes down what is said.

    Args:
        system: One of the files of `mynah/transcribe`.
        weights: Of it: by name, or their file or folder.
        device: Where its nets run.

    Raises:
        BadOption: It cannot listen here: its library or its weights are missing; the message says how to get them.
        UnknownSystem: No such system.
    """

    def __init__(self, system: str = "", weights: str = "default", device: str = "cpu") -> None:
        from mynah.core.registry import find, full
        from mynah.transcribe import DEFAULT, loaded

        name = full(system or DEFAULT, "transcribe")
        self._options = options_of(find(name), "transcribe")
        try:
            self._engine: Any = loaded(name, device, weights)
        except (MissingExtra, Offline) as error:
            raise BadOption(f"nobody can listen to what is spoken, as {name} is not ready: {error}") from error

    def written(self, sound: Audio, language: str) -> str:
        """What is said, known to be in this language where one is given."""
        told = {"language": language} if language and "language" in self._options.model_fields else {}
        text: str = self._engine.transcribe(sound, self._options.of(**told)).text
        return text


def said_back(
    speaker: Speaker,
    text: str,
    listener: Listener,
    *,
    tries: int = TRIES,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Iterator[Heard]:
    """Say a text sentence by sentence, and each again with another seed for as long as words of it are lost.

    Args:
        speaker: As `mynah.scenes.speech.prepared` gives it; without an option `seed` it says each once.
        text: What to say.
        listener: Writes it down.
        tries: How often a sentence is said at most; of all tries the one that lost the fewest words is kept.
        progress: Told the fraction that is done.

    Raises:
        BadText: There is nothing to say; told at once.
    """
    from mynah.text.sentences import sentences

    pieces = sentences(text)
    return _all_said_back(speaker, pieces, listener, tries if speaker.restless else 1, progress)


def _all_said_back(
    speaker: Speaker, pieces: list[str], listener: Listener, tries: int, progress: Callable[[float], None]
) -> Iterator[Heard]:
    from mynah.text.language import language_of

    usual = language_of(" ".join(pieces), "")
    for done, piece in enumerate(pieces, 1):
        language = language_of(piece, usual)
        best: Heard | None = None
        for number in range(tries):
            sound = speaker.sentence(piece, tries=number)
            heard = listener.written(sound, language)
            missing = lost(piece, heard, language)
            if best is None or len(missing) < len(best.lost):
                best = Heard(sound, piece, heard, missing, 0)
            if not missing:
                break
        assert best is not None
        sound = best.sound if done == len(pieces) else with_pause(best.sound)
        yield replace(best, sound=sound, tries=number + 1)
        progress(done / len(pieces))


def lost(text: str, heard: str, language: str = "") -> tuple[str, ...]:
    """Words of a text that were not heard, in order.

    Numbers and abbreviations are compared in words. A word counts as heard when half of its letters were, where it
    belongs: listeners spell names as they like, and part compounds.

    Args:
        text: What should have been said.
        heard: What a listener wrote down.
        language: Of both, `"de"` or `"en"`; numbers of others are compared as they are written.

    Example:

        >>> lost("Das ist Herr Meyer, 3 Jahre alt.", "das ist Herr Maier, drei alt", "de")
        ('jahre',)
    """
    said, back = (_words(each, language) for each in (text, heard))
    letters = "".join(said)
    there = [False] * len(letters)
    for block in SequenceMatcher(None, letters, "".join(back), autojunk=False).get_matching_blocks():
        there[block.a : block.a + block.size] = [True] * block.size
    missing, at = [], 0
    for word in said:
        if sum(there[at : at + len(word)]) < _ENOUGH * len(word):
            missing.append(word)
        at += len(word)
    return tuple(missing)


def _words(text: str, language: str) -> list[str]:
    from mynah.text.normalise import LANGUAGES, normalised

    return plain(normalised(text, language) if language in LANGUAGES else text).split()
