"""What a listener notices: voices, sentences, seeds, stops."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from mynah.core.errors import BadAudio, BadOption, BadText, BadVoice
from mynah.core.types import Audio, Voice
from mynah.speak.sv2tts import RanOn, Sv2tts, Sv2ttsOptions
from tests.test_house import SOMEBODY, note

ELSE = Voice("else", (0.0, 0.0), clips=(note(400, 3.0),))
RATE = 16_000


@pytest.fixture(scope="module")
def system() -> Sv2tts:
    return Sv2tts.tiny()


def test_sentences_joined_are_the_text(system: Sv2tts) -> None:
    text, options = "Hello there! How are you? Well.", Sv2ttsOptions(trim=False)
    pieces = [said.samples for said in system.utterances(text, SOMEBODY, options)]
    assert len(pieces) == 3
    assert torch.cat(pieces, -1).equal(system.speak(text, SOMEBODY, options).samples)
    assert pieces[0][:, -int(0.15 * RATE) :].abs().max() == 0


def test_seed_and_voice_make_a_difference(system: Sv2tts) -> None:
    def said(voice: Voice, seed: int) -> torch.Tensor:
        heard, dice = system.hear(voice), torch.Generator().manual_seed(seed)
        return system.mel([30, 31, 1], heard, Sv2ttsOptions(), dice)[0]

    assert said(SOMEBODY, 0).equal(said(SOMEBODY, 0))
    assert not said(SOMEBODY, 0).equal(said(SOMEBODY, 1))
    assert not said(SOMEBODY, 0).equal(said(ELSE, 0))


def test_the_order_of_recordings_does_not_matter(system: Sv2tts) -> None:
    turned = Voice("somebody", (0.0, 0.0), clips=SOMEBODY.clips[::-1])
    torch.testing.assert_close(system.hear(SOMEBODY), system.hear(turned), atol=1e-6, rtol=0)


def test_pauses_of_recordings_are_not_heard_if_wanted(system: Sv2tts) -> None:
    pausing = torch.cat([note(200, 1.0, RATE).samples, torch.zeros(1, 3 * RATE)], -1)
    voice = Voice("slow", (0.0, 0.0), clips=(Audio(pausing, RATE),))
    trimmed, whole = system.hear(voice), system.hear(voice, trim=False)
    assert not trimmed.equal(whole)
    assert whole.equal(system.hear(voice, trim=False))


def test_more_frames_in_a_step_are_fewer_steps(system: Sv2tts) -> None:
    heard = system.hear(SOMEBODY)
    for many in (1, 5, 20):
        dice = torch.Generator().manual_seed(0)
        mel, ended = system.mel([30, 1], heard, Sv2ttsOptions(frames_per_step=many), dice)
        assert ended
        # It stops with the first step that begins behind the tenth frame.
        assert mel.shape[1] == -(-11 // many) * many + many


def test_what_does_not_end_is_cut_off_and_said_so(system: Sv2tts) -> None:
    with pytest.warns(RanOn, match="did not end by itself"):
        said = system.speak("Hello.", SOMEBODY, Sv2ttsOptions(stop=1.0, longest=0.5, trim=False))
    assert said.seconds == pytest.approx(0.5)


def test_pauses_in_what_was_said_are_shortened_if_wanted(system: Sv2tts, monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.speak import sv2tts

    class Pausing:
        @staticmethod
        def wave(mel: torch.Tensor, *, seed: int) -> torch.Tensor:
            tone = note(200, 1.0, RATE).samples
            return torch.cat([tone, torch.zeros(1, 2 * RATE), tone], -1)

    monkeypatch.setattr(sv2tts, "vocoder", lambda *_, **__: Pausing())
    assert system.speak("Hello.", SOMEBODY, Sv2ttsOptions(trim=False)).seconds == 4
    assert 2 <= system.speak("Hello.", SOMEBODY).seconds < 2.5


@pytest.mark.parametrize("text", ["", " \n", "\x00\x07", "\U0001f600\U0001f600", "...?!"])
def test_there_must_be_something_to_say(system: Sv2tts, text: str) -> None:
    with pytest.raises(BadText, match="nothing to say"):
        system.speak(text, SOMEBODY)


@pytest.mark.parametrize("text", ["a", "3", "Ärger & Ωmega", "x\x00y \U0001f600 z", "12/11/2024, 50%"])
def test_odd_texts_are_said(system: Sv2tts, text: str) -> None:
    assert system.speak(text, SOMEBODY).seconds > 0.05


def test_a_hundred_thousand_characters_begin_at_once(system: Sv2tts) -> None:
    said = list(islice(system.utterances("many words " * 9_000 + "a" * 1_000, SOMEBODY), 2))
    assert len(said) == 2


def test_a_voice_without_recordings_or_without_sound_is_refused(system: Sv2tts) -> None:
    with pytest.raises(BadVoice, match="no recordings"):
        system.speak("Hello.", Voice("shipped", (0.0, 0.0)))
    with pytest.raises(BadAudio, match="silent"):
        system.speak("Hello.", Voice("mute", (0.0, 0.0), clips=(Audio(torch.zeros(1, 9000), RATE),)))


def test_a_vocoder_for_other_spectrograms_is_refused(system: Sv2tts) -> None:
    with pytest.raises(BadOption, match="no vocoder"):
        system.speak("Hello.", SOMEBODY, Sv2ttsOptions(vocoder="/nowhere.pt"))
