import math

import numpy as np
import pyloudnorm
import pytest
import torch

from mynah.audio.effects import gain
from mynah.audio.loudness import Meter, loudness, normalise, true_peak_db
from mynah.core.errors import BadAudio
from mynah.core.types import Audio


def tone(level_db: float, seconds: float = 5.0, rate: int = 48_000, hz: float = 1000.0, channels: int = 2) -> Audio:
    t = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    wave = (10 ** (level_db / 20) * torch.sin(2 * math.pi * hz * t)).float()
    return Audio(wave.repeat(channels, 1), rate)


def noise(seconds: float, rate: int = 48_000, channels: int = 2) -> Audio:
    generator = torch.Generator().manual_seed(0)
    swell = torch.linspace(0.001, 0.3, round(seconds * rate))
    return Audio(swell * torch.randn(channels, len(swell), generator=generator), rate)


# EBU Tech 3341 (2016), table 1: stereo tones of 1 kHz, levels in dB of full scale and lengths in seconds; +-0.1 LU
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
    ],
)
@pytest.mark.parametrize("rate", [8000, 48_000])
def test_the_tones_of_the_broadcasters(parts: list[tuple[float, float]], expected: float, rate: int) -> None:
    whole = torch.cat([tone(level, seconds, rate).samples for level, seconds in parts], -1)
    assert loudness(Audio(whole, rate)) == pytest.approx(expected, abs=0.1)


def test_the_weighting_at_48_khz_is_the_standards() -> None:
    (shelf_b, shelf_a), (rumble_b, rumble_a) = Meter(48_000, 1)._filters
    assert np.allclose(shelf_b, [1.53512485958697, -2.69169618940638, 1.19839281085285], atol=1e-5)
    assert np.allclose(shelf_a, [1, -1.69065929318241, 0.73248077421585], atol=1e-5)
    assert np.allclose(rumble_b, [1, -2, 1], atol=0.006)  # the standard leaves out a gain of 0.04 dB
    assert np.allclose(rumble_a, [1, -1.99004745483398, 0.99007225036621], atol=1e-5)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_it_agrees_with_pyloudnorm(rate: int, channels: int) -> None:
    sound = noise(6.0, rate, channels)
    expected = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(sound.samples.T.double().numpy())
    assert loudness(sound) == pytest.approx(expected, abs=0.02)


def test_pieces_measure_as_the_whole() -> None:
    sound = noise(3.0, 44_100)
    meter = Meter(44_100, 2)
    for part in sound.samples.split([1, 10_000, 77, 50_000, 72_222], -1):
        meter.push(Audio(part, 44_100))
    assert meter.lufs() == pytest.approx(loudness(sound), abs=1e-9)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.39])
def test_a_short_sound_is_as_loud_as_a_long_one(seconds: float) -> None:
    assert loudness(tone(-20, seconds)) == pytest.approx(-20, abs=0.6)


@pytest.mark.parametrize("length", [0, 1, 100, 96_000])
def test_silence_has_no_loudness(length: int) -> None:
    silence = Audio(torch.zeros(1, length), 48_000)
    assert loudness(silence) == -math.inf and true_peak_db(silence) == -math.inf
    assert normalise(silence) is silence


def test_surround_counts_as_the_standard_says() -> None:
    whole = torch.zeros(6, 96_000)
    for channel, lu in ((0, 0.0), (2, 0.0), (3, -math.inf), (4, 1.5)):
        alone = whole.clone()
        alone[channel] = tone(-20, 2.0, channels=1).samples
        assert loudness(Audio(alone, 48_000)) == pytest.approx(-23 + lu, abs=0.1)
    assert loudness(Audio(tone(-20, 2.0, channels=12).samples, 48_000)) == pytest.approx(-23 + 10.8, abs=0.1)


def test_the_peak_between_samples_is_seen() -> None:
    t = torch.arange(48_000)
    wave = torch.sin(2 * math.pi * t / 4 + math.pi / 4)[None]  # every sample at 0.707, the wave between them at 1
    faded = wave * torch.hann_window(48_000)
    assert faded.abs().max() < 0.71
    assert true_peak_db(Audio(faded, 48_000)) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("rate", [96_000, 192_000])
def test_high_rates_need_less_oversampling(rate: int) -> None:
    assert true_peak_db(tone(-6, 0.1, rate)) == pytest.approx(-6, abs=0.1)


@pytest.mark.parametrize("aim", [-30.0, -16.0])
def test_normalising_reaches_its_aim(aim: float) -> None:
    assert loudness(normalise(tone(-40), aim)) == pytest.approx(aim, abs=0.01)


def test_normalising_stops_at_the_ceiling() -> None:
    sound = tone(-40)
    sound.samples[:, 100_000] = 0.5  # a click
    got = normalise(sound, -10.0)
    assert true_peak_db(got) == pytest.approx(-1.0, abs=0.1) and loudness(got) < -30
    assert loudness(normalise(sound, -10.0, peak_db=None)) == pytest.approx(-10, abs=0.1)


def test_six_decibels_more_are_six_units_more() -> None:
    assert loudness(gain(noise(2.0), 6)) - loudness(noise(2.0)) == pytest.approx(6, abs=1e-3)


def test_blocks_of_another_kind_are_refused() -> None:
    with pytest.raises(BadAudio, match="44100 Hz"):
        Meter(48_000, 2).push(noise(0.1, 44_100))
