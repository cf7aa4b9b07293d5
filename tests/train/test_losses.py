import math

import pytest
import torch

from mynah.train.losses import band_limited, critic_loss, fooled_loss, matching_loss, mel_loss, spectral_losses

RATE = 16_000


def noise(seed: int = 0, count: int = 2) -> torch.Tensor:
    return 0.1 * torch.randn(count, 8000, generator=torch.Generator().manual_seed(seed))


def tone(hz: float, phase: float = 0.0) -> torch.Tensor:
    t = torch.arange(8000, dtype=torch.float64) / RATE
    return (0.5 * torch.hann_window(8000, dtype=t.dtype) * torch.sin(2 * torch.pi * hz * t + phase)).float()[None]


def test_what_is_the_same_costs_nothing() -> None:
    wave = noise()
    assert [loss.item() for loss in spectral_losses(wave, wave, RATE)] == [0, 0]
    assert mel_loss(wave, wave, RATE).item() == 0


def test_the_phase_does_not_matter_but_the_pitch_does() -> None:
    assert (
        spectral_losses(tone(440, phase=1), tone(440), RATE)[1]
        < 0.02
        < 0.8
        < spectral_losses(tone(660), tone(440), RATE)[1]
    )


def test_twice_as_loud_is_one_factor_of_two_off_in_every_bin() -> None:
    wave = noise() * 10  # well above the floor
    magnitude, convergence = spectral_losses(2 * wave, wave, RATE)
    assert magnitude.item() == pytest.approx(math.log(2), rel=1e-3)
    assert convergence.item() == pytest.approx(1, rel=1e-2)
    assert mel_loss(2 * wave, wave, RATE).item() == pytest.approx(math.log(2), rel=0.02)


def test_what_lies_above_a_clips_own_bandwidth_does_not_count() -> None:
    low, both = tone(440), tone(440) + tone(6000)
    bandwidth = torch.tensor([4000.0])
    unmasked, masked = spectral_losses(both, low, RATE), spectral_losses(both, low, RATE, bandwidth_hz=bandwidth)
    assert masked[1] < 1e-3 < 0.5 < unmasked[1]
    assert mel_loss(both, low, RATE, bandwidth_hz=bandwidth) < 0.05 * mel_loss(both, low, RATE)


def test_a_mask_does_not_make_what_is_left_count_less() -> None:
    wave = noise() * 10
    bandwidth = torch.tensor([2000.0, 4000.0])
    assert spectral_losses(2 * wave, wave, RATE, bandwidth_hz=bandwidth)[0].item() == pytest.approx(
        math.log(2), rel=1e-3
    )
    assert mel_loss(2 * wave, wave, RATE, bandwidth_hz=bandwidth).item() == pytest.approx(math.log(2), rel=0.05)


def test_silence_has_finite_losses_and_gradients() -> None:
    ours = torch.zeros(1, 8000, requires_grad=True)
    magnitude, convergence = spectral_losses(ours, torch.zeros(1, 8000), RATE)
    (magnitude + convergence + mel_loss(ours, noise(count=1), RATE)).backward()
    assert ours.grad is not None and ours.grad.isfinite().all()


def test_descending_the_losses_brings_a_wave_nearer() -> None:
    ours, theirs = noise(1, 1).requires_grad_(True), tone(440)
    before, _ = spectral_losses(ours, theirs, RATE)
    before.backward()
    assert ours.grad is not None
    after, _ = spectral_losses(ours - 0.01 * ours.grad / ours.grad.norm(), theirs, RATE)
    assert after < before


def test_band_limiting_keeps_what_is_below_and_kills_what_is_above() -> None:
    limited = band_limited(torch.cat([tone(1000) + tone(5000)] * 2), torch.tensor([3000.0, 8000.0]), RATE)
    torch.testing.assert_close(limited[:1], tone(1000), atol=1e-3, rtol=0)
    torch.testing.assert_close(limited[1:], tone(1000) + tone(5000), atol=1e-3, rtol=0)


def test_critics_want_ones_for_recordings_and_the_net_wants_them_for_renderings() -> None:
    ones, zeros = (torch.ones(2, 5), [torch.ones(2, 3)]), (torch.zeros(2, 5), [torch.zeros(2, 3)])
    assert critic_loss([ones], [zeros]) == 0 and critic_loss([zeros], [ones]) == 2
    assert fooled_loss([ones]) == 0 and fooled_loss([zeros, ones]) == 0.5


def test_matching_counts_every_layer_in_units_of_its_own_size() -> None:
    score = torch.zeros(1)
    recorded = (score, [torch.full((2, 4), 1.0), torch.full((2, 8), 100.0)])
    rendered = (score, [torch.full((2, 4), 1.1), torch.full((2, 8), 110.0)])
    assert matching_loss([recorded], [recorded]) == 0
    assert matching_loss([recorded], [rendered]).item() == pytest.approx(0.1, rel=1e-2)
