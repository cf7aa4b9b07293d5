import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.core.types import Audio, Contour
from mynah.voices.ears import Ears

HOP_SECONDS = 0.02


def sung(hz: float = 220.0, seconds: float = 4.0, rate: int = 32_000, level: float = 0.3, ratio: float = 0.5) -> Audio:
    """A vowel-like note whose colour is given by the ratio of neighbouring harmonics, with a little vibrato."""
    t = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    phase = 2 * math.pi * hz * (t + 0.0005 * torch.sin(2 * math.pi * 5 * t) / (2 * math.pi))
    wave = sum(ratio**k * torch.sin((k + 1) * phase) for k in range(8))
    assert isinstance(wave, Tensor)
    return Audio((level * wave / wave.abs().max()).float().unsqueeze(0), rate)


def silence(seconds: float, rate: int = 32_000) -> Audio:
    return Audio(torch.zeros(1, round(seconds * rate)), rate)


def noise(seconds: float, level: float = 0.1, rate: int = 32_000) -> Audio:
    dice = torch.Generator().manual_seed(0)
    return Audio(level * torch.randn(1, round(seconds * rate), generator=dice), rate)


def joined(*parts: Audio) -> Audio:
    return Audio(torch.cat([part.samples for part in parts], -1), parts[0].rate)


def _framed(audio: Audio) -> Tensor:
    size = round(HOP_SECONDS * audio.rate)
    wave = audio.samples.mean(0)
    return wave[: len(wave) // size * size].reshape(-1, size)


def fake_pitch(audio: Audio) -> Contour:
    """The first strong peak of the autocorrelation of 40 ms; unvoiced where there is none."""
    size = round(2 * HOP_SECONDS * audio.rate)
    wave = torch.nn.functional.pad(audio.samples.mean(0), (size // 2, size // 2))
    frames = wave.unfold(0, size, size // 2)
    power = torch.fft.rfft(frames - frames.mean(1, keepdim=True), 2 * size).abs().square()
    lags = torch.fft.irfft(power)[:, :size]
    overlap = 1 - torch.arange(size) / size
    lags = lags / overlap.clamp(min=0.2) / lags[:, :1].clamp(min=1e-9)
    low, high = audio.rate // 1000, audio.rate // 60
    strength = lags[:, low:high].amax(1)
    first = ((lags[:, low:high] > 0.97 * strength[:, None]) & (lags[:, low:high] > lags[:, low - 1 : high - 1])).float()
    near = first.argmax(1)
    peak = torch.stack([lags[i, low + int(n) : low + int(n) + 20].argmax() + low + n for i, n in enumerate(near)])
    voiced = (strength > 0.8) & (frames.square().mean(1) > 1e-6)
    return Contour(torch.where(voiced, audio.rate / peak, torch.nan).float(), HOP_SECONDS, "Hz")


def fake_frames(audio: Audio) -> Tensor:
    bands = torch.fft.rfft(_framed(audio)).abs()[:, :64]
    return bands.reshape(len(bands), 8, 8).mean(2).add(1e-4).log10()


def fake_embed(clips: Sequence[Audio]) -> Tensor:
    return torch.nn.functional.normalize(torch.cat([fake_frames(clip) for clip in clips]).mean(0) + 2, dim=0)


class Sounds:
    """What tests make voices from."""

    sung = staticmethod(sung)
    silence = staticmethod(silence)
    noise = staticmethod(noise)
    joined = staticmethod(joined)


@pytest.fixture
def sounds() -> type[Sounds]:
    """Notes, silence and noise."""
    return Sounds


FAKE = Ears(fake_pitch, fake_embed, fake_frames, "fake-1")


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    """Small listeners without weights, in the place of the house's own."""
    monkeypatch.setattr("mynah.voices.ears.own_ears", lambda: FAKE)
    return FAKE


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty library, and no shipped voices but those that a test makes."""
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("mynah.voices.store._SHIPPED", tmp_path / "shipped")
    return tmp_path / "home" / "voices"
