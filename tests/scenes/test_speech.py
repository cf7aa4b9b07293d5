"""Speech in any voice, and what was said said back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import mynah
from mynah.audio.files import read
from mynah.core.errors import BadOption, BadText, BadVoice
from mynah.core.types import Voice
from mynah.scenes.say_back import Listener, lost, said_back
from mynah.scenes.speech import PAUSE_SECONDS, joined, prepared, written
from tests.speak import made_up

ANN = Voice("ann", (200.0, 400.0))
TEXT = "Good morning, everybody. Is that all? Yes!"


@pytest.fixture(autouse=True)
def systems(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up.install(monkeypatch)


def test_a_speaker_says_its_own_voice_alone() -> None:
    said = mynah.say(TEXT, system="morse")
    assert said.samples.equal(mynah.speak(TEXT, system="morse").samples)
    first, *rest = prepared(system="morse").utterances(TEXT)
    assert made_up.understood(first) == "good morning, everybody."
    assert joined(iter([first, *rest])).samples.equal(said.samples)


def test_another_voice_is_converted_and_all_sentences_are_moved_alike() -> None:
    said = mynah.say(TEXT, ANN, system="morse", converter="loud", convert={"gain": 2})
    torch.testing.assert_close(said.samples, 2 * mynah.say(TEXT, system="morse").samples)
    assert len(made_up.Loud.told) == 3 and len(set(made_up.Loud.told)) == 1
    mynah.say(TEXT, ANN, system="morse", converter="loud", convert={"transpose": 5})
    assert made_up.Loud.told[-3:] == [5.0, 5.0, 5.0]


def test_a_voice_goes_to_the_converter_that_it_was_made_for() -> None:
    theirs = Voice("bo", (100.0, 200.0), system="convert/loud", weights=Path("bo.safetensors"))
    assert made_up.understood(mynah.say(TEXT, theirs, system="morse")) == TEXT.lower()
    assert made_up.Loud.told
    with pytest.raises(BadVoice, match="was made for convert/loud"):
        mynah.say(TEXT, theirs, system="morse", converter="hum")


def test_speech_moves_into_the_range_of_the_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.core.types import Contour

    monkeypatch.setattr("mynah.features.pitch.pitch", lambda sound: Contour(torch.full((50,), 200.0), 0.01, "Hz"))
    mynah.say(TEXT, Voice("deep", (100.0, 110.0)), system="morse", converter="loud")
    assert made_up.Loud.told == [-11.0] * 3  # from 200 Hz to 105


def test_who_knows_of_no_sentences_is_told_one_after_another() -> None:
    sentences = list(prepared(ANN, system="patient").utterances(TEXT))
    assert [made_up.understood(each) for each in sentences] == ["good morning, everybody.", "is that all?", "yes!"]
    pause = round(PAUSE_SECONDS * made_up.RATE)
    assert not sentences[0].samples[0, -pause:].any()
    assert sentences[-1].samples[0, -pause:].any()


def test_a_file_is_written_as_it_is_said(tmp_path: Path) -> None:
    seconds = written(prepared(system="morse").utterances(TEXT), tmp_path / "said.flac")
    assert made_up.understood(read(tmp_path / "said.flac")) == TEXT.lower()
    assert seconds == pytest.approx(read(tmp_path / "said.flac").seconds)


def test_nothing_to_say_is_told_before_anything_is_said() -> None:
    with pytest.raises(BadText):
        prepared(system="morse").utterances("\n")
    with pytest.raises(BadText):
        said_back(prepared(system="morse"), "?", Listener("ear"))


@pytest.mark.parametrize(
    ("text", "heard", "language", "missing"),
    [
        ("Das ist nicht gut.", "das ist gut", "de", ["nicht"]),
        ("The cat sat.", "The hound sat.", "en", ["cat"]),
        ("Herr Meyer, bitte", "Herr Maier bitte", "de", []),
        ("I have 3 cats.", "i have three cats", "en", []),
        ("drei Katzen", "3 Katzen", "de", []),
        ("Das Gartenhaus", "das Garten Haus", "de", []),
        ("one two three", "", "en", ["one", "two", "three"]),
        ("très bien", "très bien", "", []),
    ],
)
def test_words_that_are_lost(text: str, heard: str, language: str, missing: Sequence[str]) -> None:
    assert list(lost(text, heard, language)) == missing


def test_sentences_that_lose_words_are_said_again() -> None:
    fine = list(said_back(prepared(system="morse"), TEXT, Listener("ear")))
    assert [(each.lost, each.tries) for each in fine] == [((), 1)] * 3
    stumbling = prepared(system="morse", stumbles=2)
    again = list(said_back(stumbling, TEXT, Listener("ear"), tries=4))
    assert [(each.lost, each.tries) for each in again] == [((), 3)] * 3
    assert [each.heard for each in again] == ["good morning, everybody.", "is that all?", "yes!"]
    left = list(said_back(stumbling, "Good morning, everybody.", Listener("ear"), tries=2))
    assert [(each.lost, each.tries, each.heard) for each in left] == [(("everybody",), 2, "good morning,")]


def test_without_a_listener_it_says_so() -> None:
    with pytest.raises(BadOption, match="nobody can listen to what is spoken, as transcribe/ear is not ready: cannot"):
        Listener("ear", "far-away")
