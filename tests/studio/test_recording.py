"""What is said of a recording at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mynah.audio.files import write
from mynah.core.types import Audio
from mynah.studio.recording import check
from mynah.studio.words import Words

RATE = 16_000


def sung(seconds: float, gain: float = 0.2) -> torch.Tensor:
    """Notes with pauses between them."""
    t = torch.arange(round(seconds * RATE)) / RATE
    wave = torch.stack([torch.sin(2 * torch.pi * 200 * k * t) / k for k in range(1, 11)]).sum(0)
    return gain * wave * (t % 2 < 1.5)


def noise(size: int, level: float) -> torch.Tensor:
    return level * torch.randn(size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("wave", "advice"),
    [
        (sung(24), ""),
        (sung(24, 0.002), "Too soft"),
        ((3 * sung(24)).clamp(-0.5, 0.5), "Distorted"),
        (sung(24) + noise(24 * RATE, 0.06), "Noisy"),
        (sung(6), "Rather short"),
        (sung(1), "Hardly a voice"),
        (torch.zeros(3 * RATE), "Hardly a voice"),
        (torch.zeros(100), "Hardly a voice"),
    ],
)
def test_the_worst_is_said(wave: torch.Tensor, advice: str, tmp_path: Path) -> None:
    found = check(write(Audio(wave[None], RATE), tmp_path / "take.wav", bits=32, peak_db=None)).advice(Words("en"))
    if advice:
        assert any(sentence.startswith(advice) for sentence in found), found
    else:
        assert not found
