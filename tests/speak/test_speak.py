"""The verb by itself: the system's own words and voices."""

from __future__ import annotations

import pytest

import mynah
from mynah.core.errors import BadOption, BadText, BadVoice
from mynah.core.types import Voice
from tests.speak import made_up


@pytest.fixture(autouse=True)
def systems(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up.install(monkeypatch)


def test_the_folder_can_be_called() -> None:
    said = mynah.speak("Good morning. Well?", system="morse")
    assert made_up.understood(said) == "good morning. well?"
    assert mynah.speak("Good morning. Well?", made_up.OWN, system="speak/morse").samples.equal(said.samples)


def test_a_voice_made_for_a_speaker_is_spoken_by_it() -> None:
    voice = Voice("somebody", (100.0, 200.0), system="speak/patient")
    assert made_up.understood(mynah.speak("I am here", voice)) == "i am here"


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadVoice, match=r"cannot give the voice 'ann' by itself: mynah\.say"):
        mynah.speak("Good morning", Voice("ann", (200.0, 400.0)), system="morse")
    with pytest.raises(BadOption, match="no voice of its own"):
        mynah.speak("Good morning", system="patient")
    with pytest.raises(BadOption, match="no option 'speed'"):
        mynah.speak("Good morning", system="morse", speed=2)
    for nothing in ("", "  \n", "...!", "\x00\x07", "\U0001f600"):
        with pytest.raises(BadText, match="nothing to say"):
            mynah.speak(nothing, system="morse")
