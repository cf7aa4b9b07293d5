import math

import torch

from mynah.features.loudness import Loudness, a_weighting
from mynah.features.mel import LogMel, PowerSpectrum, hz_to_mel, mel_filters, mel_to_hz


def sine(hz: float, seconds: float = 1.0, rate: int = 16_000, level: float = 1.0) -> torch.Tensor:
    return level * torch.sin(2 * math.pi * hz * torch.arange(int(seconds * rate)) / rate)[None]


def test_mel_scale_there_and_back() -> None:
    hz = torch.tensor([0.0, 440.0, 999.0, 1001.0, 8000.0], dtype=torch.float64)
    mel = torch.tensor([hz_to_mel(value) for value in hz.tolist()], dtype=torch.float64)
    torch.testing.assert_close(mel_to_hz(mel), hz)


def test_filters_are_those_that_whisper_publishes() -> None:
    # Three entries and the sum of Whisper's mel_80 (openai/whisper, assets/mel_filters.npz).
    filters = mel_filters(16_000, 400, 80)
    assert filters.shape == (80, 201)
    assert abs(filters[0, 1].item() - 0.02486259) < 1e-6
    assert abs(filters[40].max().item() - 0.01473557) < 1e-6
    assert abs(filters.sum().item() - 1.999024) < 1e-4


def test_frames_are_centred_on_their_time() -> None:
    click = torch.zeros(1, 16_000)
    click[0, 8_000] = 1.0  # half a second: frame 50
    assert PowerSpectrum()(click)[0].sum(0).argmax() == 50


def test_a_louder_sine_moves_the_log_mel_by_its_decibels() -> None:
    quiet, loud = (LogMel()(PowerSpectrum()(sine(1000, level=level)))[0].max() for level in (0.01, 0.1))
    assert abs((loud - quiet).item() - 20 / 40) < 1e-3  # 40 dB for each unit


def test_a_weighting_is_zero_at_1_khz_and_minus_19_at_100_hz() -> None:
    decibels = 10 * a_weighting(torch.tensor([1000.0, 100.0])).log10()
    torch.testing.assert_close(decibels, torch.tensor([0.0, -19.1]), atol=0.1, rtol=0)


def test_a_full_scale_sine_at_1_khz_has_minus_3_db() -> None:
    level = Loudness()(PowerSpectrum()(sine(1000)))[0, 10:-10]
    torch.testing.assert_close(level, torch.full_like(level, -3.0), atol=0.1, rtol=0)


def test_silence_stands_on_the_floor() -> None:
    assert (Loudness()(PowerSpectrum()(torch.zeros(1, 3200))) == -80).all()
