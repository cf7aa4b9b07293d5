import math

import torch

from mynah.convert.mynah.recipe import alter
from mynah.features.mel import PowerSpectrum

RATE = 16_000


def sung(hz: float, formant: float = 800.0) -> torch.Tensor:
    """A vowel with one formant, `[1, time]`."""
    time = torch.arange(RATE) / RATE
    harmonics = torch.arange(1, int(7000 / hz))
    strength = 1 / (1 + ((harmonics * hz - formant) / 150) ** 2)
    return (strength[:, None] * torch.cos(2 * math.pi * hz * harmonics[:, None] * time)).sum(0)[None] / 10


def formant_bin(power: torch.Tensor) -> float:
    envelope, _ = alter.envelope_and_fine((power + 1e-8).log())
    return envelope[0, 5:100, 50].argmax().item() + 5.0


def test_envelope_and_fine_structure_add_up() -> None:
    log = torch.randn(2, 201, 9)
    envelope, fine = alter.envelope_and_fine(log)
    torch.testing.assert_close(envelope + fine, log)


def test_formants_move_and_pitch_stays() -> None:
    power = PowerSpectrum()(sung(150.0))
    moved = alter.formants_and_pitch(power, torch.tensor([1.25]), torch.ones(1))
    assert abs(formant_bin(power) - 20) <= 1  # 800 Hz in bins of 40 Hz
    assert abs(formant_bin(moved) - 25) <= 2  # the envelope is as fine as the harmonics are wide apart


def test_pitch_moves_and_formants_stay() -> None:
    power = PowerSpectrum()(sung(200.0))
    moved = alter.formants_and_pitch(power, torch.ones(1), torch.tensor([1.5]))
    assert abs(formant_bin(moved) - formant_bin(power)) <= 2
    _, fine = alter.envelope_and_fine((moved + 1e-8).log())
    spectrum = torch.fft.rfft(fine[0, :100, 50]).abs()
    assert abs(100 / (spectrum[3:].argmax().item() + 3) - 7.5) < 1  # harmonics 300 Hz apart: 7.5 bins


def test_ratios_of_one_change_nothing() -> None:
    power = PowerSpectrum()(sung(150.0))
    again = alter.formants_and_pitch(power, torch.ones(1), torch.ones(1))
    torch.testing.assert_close(again, power + 1e-8, rtol=1e-3, atol=1e-6)


def test_slower_is_longer() -> None:
    ramp = torch.arange(10.0)[None, None]
    assert alter.stretch_time(ramp, torch.tensor([2.0]), 6)[0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5]


def test_a_room_rings_after_a_click_and_not_before() -> None:
    power = torch.zeros(1, 201, 60)
    power[..., 20] = 1
    rung = alter.room(power, torch.Generator().manual_seed(0), share=1.0)
    assert (rung[..., :20] == 0).all() and (rung[..., 21:50] > 0).all()
    assert (rung[0, 0, 21:49] >= rung[0, 0, 22:50]).all()


def test_the_same_dice_alter_alike() -> None:
    power = PowerSpectrum()(torch.randn(3, RATE))
    first, again = (alter.disguise(power, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, again) and first.isfinite().all()
