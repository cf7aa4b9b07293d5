"""Mel spectrograms as published vocoders and speakers mean them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from torch import Tensor

from mynah.core.errors import BadAudio
from mynah.features.mel import LOG10, SYMMETRIC, UNIT, MelFormat, mel_filters

TACOTRON = MelFormat(centred=True, epsilon=0.0)
TOOLBOX = MelFormat(16_000, 800, 200, 800, 80, 55.0, 7600.0, True, scale=SYMMETRIC, preemphasis=0.97, epsilon=0.0)


def wave(seconds: float = 1.0, rate: int = 22_050) -> Tensor:
    return 0.3 * torch.randn(2, int(seconds * rate), generator=torch.Generator().manual_seed(0)).clamp(-3, 3)


def by_hand(sound: np.ndarray, format: MelFormat, before: int) -> np.ndarray:
    """Mel magnitudes, frame by frame with NumPy's own transform."""
    padded = np.pad(sound, (before, before), mode="reflect")
    t = np.arange(format.win)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * t / format.win)
    count = (len(padded) - format.n_fft) // format.hop + 1
    frames = [padded[i * format.hop :][: format.n_fft] * window for i in range(count)]
    power = np.abs(np.fft.rfft(np.stack(frames))) ** 2
    filters = mel_filters(format.rate, format.n_fft, format.bands, format.low_hz, format.high_hz).double().numpy()
    return filters @ np.sqrt(power + format.epsilon).T


def test_hifi_gan_has_whole_hops_and_natural_logarithms() -> None:
    sound = wave()
    wanted = np.log(np.maximum(by_hand(sound[1].double().numpy(), MelFormat(), 384), 1e-5))
    assert MelFormat()(sound).shape == (2, 80, 86)
    assert np.abs(MelFormat()(sound)[1].numpy() - wanted).max() < 1e-4
    assert MelFormat()(torch.zeros(1, 2048)).eq(math.log(1e-5)).all()


def test_tacotron_has_one_frame_more() -> None:
    sound = wave()
    wanted = np.log(np.maximum(by_hand(sound[0].double().numpy(), TACOTRON, 512), 1e-5))
    assert TACOTRON(sound).shape == (2, 80, 87)
    assert np.abs(TACOTRON(sound)[0].numpy() - wanted).max() < 1e-4


def test_the_toolbox_has_preemphasis_and_decibels_between_bounds() -> None:
    sound = wave(rate=16_000)
    emphasised = lfilter([1, -0.97], [1], sound[0].double().numpy())
    decibels = 20 * np.log10(np.maximum(by_hand(emphasised, TOOLBOX, 400), 1e-5)) - 20
    wanted = np.clip(8 * (decibels + 100) / 100 - 4, -4, 4)
    assert np.abs(TOOLBOX(sound)[0].numpy() - wanted).max() < 1e-4
    unit = np.clip((decibels + 100) / 100, 0, 1)
    assert np.abs(replace(TOOLBOX, scale=UNIT)(sound)[0].numpy() - unit).max() < 1e-4


def test_statistics_are_taken_off() -> None:
    plain = MelFormat(low_hz=125.0, high_hz=7600.0, centred=True, scale=LOG10, epsilon=0.0)
    means, deviations = tuple(range(80)), tuple(range(1, 81))
    told = replace(plain, means=means, deviations=deviations)
    wanted = (plain(wave()) - torch.arange(80.0)[:, None]) / torch.arange(1.0, 81.0)[:, None]
    assert torch.allclose(told(wave()), wanted, atol=1e-6)
    assert torch.allclose(told.to(plain, told(wave())), plain(wave()), atol=1e-4)


def test_a_scale_becomes_another() -> None:
    symmetric = replace(TOOLBOX, preemphasis=0.0)
    unit = replace(symmetric, scale=UNIT)
    sound = 0.02 * wave(rate=16_000)  # softer than the bounds of either
    assert torch.allclose(symmetric.to(unit, symmetric(sound)), unit(sound), atol=1e-5)
    assert symmetric.to(symmetric, symmetric(sound)).equal(symmetric(sound))


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (replace(TACOTRON, scale=LOG10), ""),
        (MelFormat(high_hz=None), "high_hz 8000 and 11025"),
        (MelFormat(rate=24_000), "rate 22050 and 24000"),
        (MelFormat(bands=100, preemphasis=0.97), "bands 80 and 100, preemphasis 0 and 0.97"),
    ],
)
def test_what_cannot_be_changed_is_named(other: MelFormat, differs: str) -> None:
    assert MelFormat().misfit(other) == differs


def test_too_little_sound_is_told() -> None:
    with pytest.raises(BadAudio, match="384 samples at 22050 Hz"):
        MelFormat()(torch.zeros(1, 384))
