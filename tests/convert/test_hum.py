import math

import pytest
import torch

from mynah.convert.hum import Hum, HumOptions
from mynah.core.registry import find, names
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Converts

ANYBODY = Voice("anybody", range_hz=(80.0, 800.0))


def sung(hz: float, seconds: float = 1.0, rate: int = 32_000) -> Audio:
    """A vowel-like note: the first ten harmonics, each weaker than the one below."""
    t = torch.arange(int(seconds * rate)) / rate
    wave = torch.stack([torch.sin(2 * math.pi * hz * k * t) / k for k in range(1, 11)]).sum(0)
    return Audio(0.2 * wave.unsqueeze(0), rate)


def test_the_folder_is_the_registry() -> None:
    assert names()["convert/hum"].startswith("Hum:")
    assert find("convert/hum") is Hum
    assert isinstance(Hum.tiny(), Converts)


@pytest.mark.parametrize("seconds", [0.05, 0.333, 2.0])
def test_length_and_rate_are_kept(seconds: float) -> None:
    source = sung(220, seconds)
    result = Hum.tiny().convert(source, ANYBODY)
    assert result.samples.shape == source.samples.shape
    assert result.rate == source.rate


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_the_melody_is_kept_at_any_rate(rate: int) -> None:
    result = Hum.tiny().convert(sung(220, 2.0, rate), ANYBODY)
    assert abs(1200 * math.log2(loudest_hz(result) / 220)) < 10  # cents


def test_an_octave_doubles_the_pitch() -> None:
    result = Hum.tiny().convert(sung(220), ANYBODY, HumOptions(transpose=12))
    assert abs(1200 * math.log2(loudest_hz(result) / 440)) < 10  # cents


def test_it_is_as_loud_as_the_source() -> None:
    source = sung(220, 2.0)
    result = Hum.tiny().convert(source, ANYBODY)
    middle = slice(source.rate // 2, -source.rate // 2)
    assert rms(result.samples[:, middle]) == pytest.approx(rms(source.samples[:, middle]), rel=0.05)


def test_silence_stays_silent() -> None:
    result = Hum.tiny().convert(Audio(torch.zeros(1, 32_000), 32_000), ANYBODY)
    assert result.samples.abs().max() == 0


def loudest_hz(audio: Audio) -> float:
    spectrum = torch.fft.rfft(audio.samples[0], n=8 * audio.rate).abs()
    return spectrum.argmax().item() / 8


def rms(samples: torch.Tensor) -> float:
    return samples.square().mean().sqrt().item()
