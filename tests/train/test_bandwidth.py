import pytest
import torch
from torch import Tensor

from mynah.train.bandwidth import bandwidth


def noise(seconds: float, rate: int) -> Tensor:
    return 0.1 * torch.randn(int(seconds * rate), generator=torch.Generator().manual_seed(0))


def filtered(wave: Tensor, rate: int, gain_db: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(wave)
    return torch.fft.irfft(spectrum * 10 ** (gain_db / 20), n=len(wave))


def hz(wave: Tensor, rate: int) -> Tensor:
    return torch.linspace(0, rate / 2, len(wave) // 2 + 1)


@pytest.mark.parametrize("cut_hz", [3400, 7000, 8000, 11_025])
@pytest.mark.parametrize("seconds", [0.4, 3.0])
def test_a_cut_is_found_and_never_put_above_where_it_is(cut_hz: int, seconds: float) -> None:
    wave = noise(seconds, 32_000)
    cut = filtered(wave, 32_000, torch.where(hz(wave, 32_000) > cut_hz, -130.0, 0.0))
    assert cut_hz - 500 <= bandwidth(cut, 32_000) <= cut_hz


def test_a_voice_that_gets_softer_toward_the_highs_was_not_cut() -> None:
    wave = noise(2, 32_000)
    soft = filtered(wave, 32_000, -80 * hz(wave, 32_000) / 16_000)
    assert bandwidth(soft, 32_000) == 16_000


def test_a_hum_in_a_room_was_not_cut() -> None:
    t = torch.arange(64_000) / 32_000
    hum = sum(torch.sin(2 * torch.pi * 200 * k * t) / k for k in range(1, 8))
    assert isinstance(hum, Tensor)
    assert bandwidth(0.1 * hum + 1e-2 * noise(2, 32_000), 32_000) == 16_000


def test_a_short_consonant_shows_how_far_a_recording_reaches() -> None:
    wave = noise(5, 32_000)
    dull = filtered(wave, 32_000, torch.where(hz(wave, 32_000) > 5000, -130.0, 0.0))
    dull[32_000 : 32_000 + 4800] += 0.3 * noise(0.15, 32_000)
    assert bandwidth(dull, 32_000) == 16_000


def test_the_level_and_the_length_do_not_matter() -> None:
    wave = noise(2, 32_000)
    cut = filtered(wave, 32_000, torch.where(hz(wave, 32_000) > 7000, -130.0, 0.0))
    assert bandwidth(0.01 * cut, 32_000) == bandwidth(cut.repeat(10), 32_000) == bandwidth(cut, 32_000)
