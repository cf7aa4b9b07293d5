from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from mynah.core.errors import BadText, BadVoice
from mynah.core.types import Audio
from mynah.features import content, letters
from mynah.features.pitch import pitch
from mynah.metrics.spelling import character_error, plain
from mynah.speak.mynah import Mynah, MynahSpeechOptions
from mynah.text.normalise import normalised
from mynah.voices import library

pytest.importorskip("phonemizer")
TEXT = "Guten Morgen, das ist ein kurzer Satz."


@cache
def system() -> Mynah:
    return Mynah.load()


def said(text: str = TEXT, name: str = "kerstin", **options: object) -> Audio:
    return system().speak(text, library.find(name), MynahSpeechOptions(**options))


def median_hz(speech: Audio) -> float:
    return pitch(speech).values.nanmedian().item()


def test_the_recogniser_reads_what_was_said_about_as_well_as_people() -> None:
    text = "Die Stadt liegt an einem Fluss im Norden des Landes und hat viele alte Häuser."
    heard = letters.load().spelt(said(text), content.load())
    wanted = plain(normalised(text, "de"))
    assert character_error([(wanted, heard)]) < 0.5
    assert character_error([(wanted, plain("Something else entirely was spoken here on another day."))]) > 0.6


def test_sentences_joined_are_the_text() -> None:
    text = f"{TEXT} Und hier ist noch einer! How are you?"
    pieces = list(system().utterances(text, library.find("philipp")))
    assert len(pieces) == 3
    assert torch.cat([piece.samples for piece in pieces], 1).equal(said(text, "philipp").samples)


def test_the_same_text_and_seed_give_the_same_bytes_and_another_seed_others() -> None:
    assert said().samples.equal(said().samples)
    assert not said().samples.equal(said(seed=1).samples)


def test_it_speaks_as_high_as_the_voice_does() -> None:
    for name in ("kerstin", "philipp"):
        low, high = library.find(name).range_hz
        assert low < median_hz(said(name=name)) < high


def test_transpose_and_speed_do_what_they_say() -> None:
    plainly, higher, faster = said(), said(transpose=5.0), said(speed=2.0)
    assert median_hz(higher) / median_hz(plainly) == pytest.approx(2 ** (5 / 12), rel=0.06)
    assert higher.seconds == plainly.seconds
    assert faster.seconds == pytest.approx(plainly.seconds / 2, rel=0.15)


def test_a_livelier_voice_moves_more() -> None:
    def spread(liveliness: float) -> float:
        values = pitch(said(liveliness=liveliness)).values
        return values[values.isfinite()].log2().std().item()

    assert spread(2.0) > 1.2 * spread(-2.0)


@pytest.mark.parametrize(
    ("text", "why"), [("", "empty"), ("\U0001f44b", "neither letters"), ("Привет", "other|cannot read")]
)
def test_what_cannot_be_said_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadText, match=why):
        said(text)


def test_a_voice_with_a_converter_of_its_own_is_left_to_it() -> None:
    kerstin = library.find("kerstin")
    for other in (replace(kerstin, system="convert/rvc"), replace(kerstin, weights=Path("tuned.safetensors"))):
        assert not system().gives(other)
        with pytest.raises(BadVoice, match="mynah speak"):
            system().speak(TEXT, other)


def test_a_reader_whom_the_library_does_not_know_is_spoken_for_by_the_shipped_one() -> None:
    assert Mynah.tiny().own.name == "kerstin"
