import math
import time

import pytest
import torch

from mynah.audio.limiter import limited
from mynah.audio.loudness import loudness, mastered, true_peak_db
from mynah.core.errors import BadOption
from mynah.core.types import Audio


def music(seconds: float, rate: int = 44_100, channels: int = 2) -> Audio:
    """Noise with beats that stand out by 20 dB, faint near half the rate as music is."""
    generator = torch.Generator().manual_seed(0)
    t = torch.arange(round(seconds * rate)) / rate
    beat = 0.05 + 0.45 * torch.exp(-40 * (t % 0.5))
    noise = torch.randn(channels, len(t) + 2, generator=generator).unfold(-1, 3, 1) @ torch.tensor([0.5, 1.0, 0.5])
    return Audio(beat * noise, rate)


def joined(sound: Audio, peak_db: float, *cuts: int) -> Audio:
    pieces = sound.samples.split(list(cuts), -1) if cuts else [sound.samples]
    return Audio(torch.cat(list(limited(pieces, sound.rate, peak_db)), -1), sound.rate)


@pytest.mark.parametrize("rate", [8000, 44_100, 96_000])
@pytest.mark.parametrize("peak_db", [-12.0, -1.0])
def test_no_peak_exceeds_the_ceiling(rate: int, peak_db: float) -> None:
    sound = music(2.0, rate)
    assert true_peak_db(sound) > 3
    result = joined(sound, peak_db)
    assert result.samples.shape == sound.samples.shape
    assert peak_db - 0.5 < true_peak_db(result) <= peak_db + 0.1


def test_peaks_between_samples_are_held_down_too() -> None:
    t = torch.arange(44_100)
    between = torch.sin(2 * math.pi * t / 4 + math.pi / 4)[None] * torch.hann_window(44_100)
    assert between.abs().max() < 10 ** (-2 / 20)  # no sample is above the ceiling
    assert true_peak_db(joined(Audio(between, 44_100), -2.0)) <= -1.9


def test_what_stays_below_the_ceiling_stays_as_it_is() -> None:
    sound = music(1.0)
    assert torch.equal(joined(Audio(0.1 * sound.samples, 44_100), -1.0).samples, 0.1 * sound.samples)
    late = torch.cat([0.1 * sound.samples, sound.samples], -1)
    untouched = 44_100 - round(0.006 * 44_100)  # 5 ms ahead
    assert torch.equal(joined(Audio(late, 44_100), -1.0).samples[:, :untouched], late[:, :untouched])


def test_a_reduction_comes_smoothly_and_goes_slowly() -> None:
    wave = torch.full((1, 44_100), 0.1)
    wave[:, 22_050] = 2.0
    gain = joined(Audio(wave, 44_100), 0.0).samples[0] / wave[0]
    steps = gain.diff().abs()
    assert steps.max() < 0.01  # of the 0.5 or so that has to come within 220 samples
    lowest = 22_050
    assert gain[lowest] == pytest.approx(0.5 / 10 ** (0.05 / 20), abs=0.03)
    decibels = 20 * gain.log10()
    assert decibels[lowest + 4410] / decibels[lowest] == pytest.approx(math.exp(-1), abs=0.05)


def test_channels_keep_their_balance() -> None:
    sound = music(1.0, channels=1).samples
    result = joined(Audio(torch.cat([sound, -0.5 * sound]), 44_100), -6.0).samples
    torch.testing.assert_close(result[1], -0.5 * result[0])


def test_pieces_are_limited_as_the_whole() -> None:
    sound = music(25.0, 8000)
    whole = joined(sound, -6.0)
    pieces = joined(sound, -6.0, 1, 30_000, 77, 50_000, 119_922)
    torch.testing.assert_close(pieces.samples, whole.samples, atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [0, 1, 100])
def test_short_sounds_are_limited(length: int) -> None:
    result = torch.cat([torch.zeros(1, 0), *limited([torch.full((1, length), 3.0)], 44_100, -1.0)], -1)
    assert result.shape == (1, length) and (result.abs() <= 10 ** (-1 / 20)).all()


def test_a_ceiling_above_full_scale_is_refused() -> None:
    with pytest.raises(BadOption, match="would clip"):
        limited([], 44_100, 1.0)


@pytest.mark.parametrize("factor", [0.02, 1.0])
def test_mastering_reaches_loudness_and_ceiling(factor: float) -> None:
    t = torch.arange(6 * 44_100) / 44_100
    sound = Audio(music(6.0).samples * 0.2 + torch.sin(2 * math.pi * 220 * t), 44_100)
    parts = [Audio(factor * part, 44_100) for part in sound.samples.split(50_000, -1)]
    result = Audio(torch.cat([block.samples for block in mastered(lambda: iter(parts), -14.0, -1.0)], -1), 44_100)
    assert result.samples.shape == sound.samples.shape
    assert loudness(result) == pytest.approx(-14, abs=0.5)
    assert true_peak_db(result) <= -0.9


def test_silence_is_mastered_to_silence() -> None:
    silence = [Audio(torch.zeros(2, 5000), 44_100)]
    assert not torch.cat([block.samples for block in mastered(lambda: iter(silence))], -1).any()
    assert not list(mastered(lambda: iter([])))


def test_it_takes_no_time() -> None:
    sound = music(10.0)
    start = time.process_time()
    joined(sound, -6.0)
    assert time.process_time() - start < 1.0  # measured: 0.05
