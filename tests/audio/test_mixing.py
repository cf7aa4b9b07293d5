import math

import pytest
import torch

from mynah.audio.mixing import Track, match_channels, mix
from mynah.audio.resample import resample
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio


def noise(time: int = 1000, rate: int = 44_100, channels: int = 1, seed: int = 0) -> Audio:
    return Audio(torch.randn(channels, time, generator=torch.Generator().manual_seed(seed)), rate)


def test_a_mix_is_the_sum_of_its_tracks_and_as_long_as_the_longest() -> None:
    long, short = noise(1000, seed=1), noise(700, seed=2)
    got = mix([(long, 0.0, 0.0), (short, 0.0, 0.0)])
    assert got.samples.shape == (1, 1000)
    torch.testing.assert_close(got.samples[:, :700], long.samples[:, :700] + short.samples)
    torch.testing.assert_close(got.samples[:, 700:], long.samples[:, 700:])


def test_rates_are_reconciled_upward() -> None:
    voice, band = noise(16_000, 16_000), noise(44_100, 44_100, 2)
    got = mix([Track(voice), Track(band)])
    assert got.rate == 44_100 and got.samples.shape == (2, 44_100)
    torch.testing.assert_close(got.samples, resample(voice, 44_100).samples + band.samples)
    assert mix([Track(voice), Track(band)], rate=22_050).samples.shape == (2, 22_050)


def test_gain_is_in_decibels_and_minus_infinity_mutes() -> None:
    sound = noise()
    torch.testing.assert_close(mix([(sound, -20.0, 0.0)]).samples, 0.1 * sound.samples)
    assert not mix([(sound, -math.inf, 0.0)]).samples.any()


@pytest.mark.parametrize("pan", [-1.0, -0.4, 0.3, 1.0])
def test_panning_keeps_the_power_and_the_centre(pan: float) -> None:
    sound = noise()
    got = mix([(sound, 0.0, pan)]).samples
    assert got.square().sum().item() == pytest.approx(2 * sound.samples.square().sum().item(), rel=1e-5)
    left, right = got.square().sum(1)
    assert (left < right) == (pan > 0)
    if abs(pan) == 1:
        assert min(left, right) < 1e-9
    torch.testing.assert_close(
        mix([(sound, 0.0, 0.0), (noise(channels=2), -math.inf, 0.0)]).samples[0], sound.samples[0]
    )


def test_separated_parts_mix_back_to_the_whole() -> None:
    whole = noise(channels=2)
    part = noise(channels=2, seed=5)
    got = mix([(part, 0.0, 0.0), (Audio(whole.samples - part.samples, whole.rate), 0.0, 0.0)])
    torch.testing.assert_close(got.samples, whole.samples, atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 2, 6, 12])
def test_a_sound_equal_in_all_channels_stays_itself(channels: int) -> None:
    mono = noise()
    many = match_channels(mono, channels)
    assert many.samples.shape[0] == channels
    torch.testing.assert_close(match_channels(many, 1).samples, mono.samples, atol=1e-5, rtol=1e-5)
    if channels != 6:  # there the low-frequency channel is left out
        torch.testing.assert_close(match_channels(many, 2).samples, mono.samples.expand(2, -1), atol=1e-5, rtol=1e-5)


def test_five_one_to_stereo_keeps_sides_apart_and_drops_the_low_frequencies() -> None:
    samples = torch.eye(6)
    left, right = match_channels(Audio(samples, 48_000), 2).samples
    assert left[1] == left[3] == left[5] == 0 and right[0] == right[3] == right[4] == 0
    assert left[2] == right[2] and left[4] == right[5] and left[0] / left[2] == pytest.approx(2**0.5)


def test_what_cannot_be_mixed() -> None:
    with pytest.raises(BadAudio, match="no tracks"):
        mix([])
    with pytest.raises(BadOption, match="pan"):
        mix([(noise(), 0.0, 1.5)])
    with pytest.raises(BadOption, match="2 channels cannot become 6"):
        match_channels(noise(channels=2), 6)
