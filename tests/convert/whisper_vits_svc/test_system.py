import math
from dataclasses import replace

import pytest
import torch

from mynah.convert.whisper_vits_svc import WhisperVitsSvc, WhisperVitsSvcOptions
from mynah.convert.whisper_vits_svc.rendering import render
from mynah.core.errors import BadAudio, BadVoice
from mynah.core.types import Audio, Contour, Voice
from mynah.features import speaker
from mynah.features.grid import glided
from mynah.features.retrieval import drawn
from mynah.nets.streams import SONG, Span

Options = WhisperVitsSvcOptions


def sung(hz: float = 220.0, seconds: float = 1.0, rate: int = 32_000) -> Audio:
    time = torch.arange(int(seconds * rate)) / rate
    return Audio(0.2 * sum(torch.sin(2 * math.pi * hz * k * time) / k for k in range(1, 11))[None], rate)


def melody(hz: float = 220.0, seconds: float = 1.0) -> Contour:
    return Contour(torch.full((round(seconds * 100),), hz), 0.01, "Hz")


def somebody(seed: int = 0) -> Voice:
    vector = torch.randn(192, generator=torch.Generator().manual_seed(seed))
    return Voice("somebody", (100.0, 400.0), embedding=vector / vector.norm(), encoder=speaker.ENCODER)


@pytest.fixture(scope="module")
def system() -> WhisperVitsSvc:
    return WhisperVitsSvc.tiny()


@pytest.mark.parametrize("seconds", [0.005, 0.02, 0.333])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_rate_and_length_are_kept(system: WhisperVitsSvc, seconds: float, rate: int) -> None:
    source = sung(seconds=seconds, rate=rate)
    result = system.convert(source, somebody(), melody=melody(seconds=max(seconds, 0.01)))
    assert result.samples.shape == source.samples.shape and result.rate == rate


def test_voice_seed_and_melody_are_heard_and_nothing_else_is_random(system: WhisperVitsSvc) -> None:
    def result(voice: Voice, hz: float = 220.0, **options: object) -> torch.Tensor:
        return system.convert(sung(seconds=0.3), voice, Options.of(**options), melody=melody(hz, 0.3)).samples

    one = result(somebody())
    torch.manual_seed(99)
    assert result(somebody()).equal(one)
    assert not result(somebody(1)).allclose(one)
    assert not result(somebody(), seed=1).allclose(one)
    assert not result(somebody(), hz=330.0).allclose(one)
    assert result(somebody(), transpose=12.0).equal(result(somebody(), hz=440.0, transpose=0.0))


def test_a_song_in_stretches_is_the_song(system: WhisperVitsSvc) -> None:
    frames, voice, hz = torch.randn(64, 700), torch.randn(192), torch.full((700,), 200.0)
    with torch.inference_mode():
        whole, cut = (
            torch.cat(list(render(system.singer, [frames], hz, voice, 0, pace=replace(SONG, stretch=seconds))))
            for seconds in (7.0, 1.5)
        )
    assert len(whole) == 700 * 320
    torch.testing.assert_close(cut, whole, atol=1e-5, rtol=0)


def test_windows_of_the_prior_meet_without_a_jump(system: WhisperVitsSvc) -> None:
    frames, voice, hz = torch.randn(64, 1).expand(64, 700), torch.randn(192), torch.full((700,), 200.0)
    with torch.inference_mode():
        whole, cut = (
            torch.cat(list(render(system.singer, [frames], hz, voice, 0, pace=replace(SONG, expected=windows))))
            for windows in (SONG.expected, Span(2.4, overlap=0.6))
        )
    steps, usual = (wave.diff().abs().max() for wave in (cut, whole))
    assert steps < 1.2 * usual


def test_silence_stays_silent(system: WhisperVitsSvc) -> None:
    loud = sung(seconds=0.6)
    source = Audio(torch.cat([loud.samples, 1e-5 * torch.randn(1, 32_000)], 1), 32_000)
    contour = Contour(torch.cat([torch.full((60,), 220.0), torch.full((100,), torch.nan)]), 0.01, "Hz")
    muted = system.convert(source, somebody(), melody=contour).samples[0]
    noisy = system.convert(source, somebody(), Options(silence_db=-120.0), melody=contour).samples[0]
    assert not muted[int(0.8 * 32_000) :].any()
    assert noisy[int(0.8 * 32_000) :].abs().max() > 1e-4
    torch.testing.assert_close(muted[: int(0.5 * 32_000)], noisy[: int(0.5 * 32_000)])


def test_pitch_everywhere_glides_through_pauses() -> None:
    hz = torch.tensor([torch.nan, 100.0, torch.nan, torch.nan, torch.nan, 400.0, torch.nan])
    wanted = torch.tensor([100.0, 100.0, 141.42, 200.0, 282.84, 400.0, 400.0])
    torch.testing.assert_close(glided(hz), wanted, atol=0.01, rtol=0)
    assert not glided(torch.full((3,), torch.nan)).any()


def test_retrieval_goes_to_the_target(system: WhisperVitsSvc) -> None:
    dice = torch.Generator().manual_seed(0)
    bank, frames = torch.randn(50, 6, generator=dice) + 3, torch.randn(2000, 6, generator=dice)
    near = [drawn(frames, bank, share) for share in (0.0, 0.5, 1.0)]
    assert torch.equal(near[0], frames)
    distance = [torch.cdist(rows, bank).min(1).values.mean() for rows in near]
    assert distance[0] > distance[1] > distance[2]
    assert drawn(bank, bank, 1.0).allclose(bank, atol=1e-3)  # what is in the bank itself is not a division by zero
    voice = replace(somebody(), clips=(sung(300, 0.5),))
    one, other = (
        system.convert(sung(seconds=0.3), voice, Options(retrieval=share), melody=melody(seconds=0.3)).samples
        for share in (0.0, 1.0)
    )
    assert not one.allclose(other)


def test_what_cannot_be_converted_is_told(system: WhisperVitsSvc) -> None:
    with pytest.raises(BadAudio, match="empty"):
        system.convert(Audio(torch.zeros(1, 0), 16_000), somebody())
    with pytest.raises(BadAudio, match="not numbers"):
        system.convert(Audio(torch.full((1, 100), torch.nan), 16_000), somebody())
    with pytest.raises(BadVoice, match="enrol"):
        system.convert(sung(seconds=0.2), Voice("nobody", (100.0, 200.0)), melody=melody())
