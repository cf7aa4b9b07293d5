import math
from pathlib import Path

import pytest
import torch

from mynah.audio.files import read, write
from mynah.core.types import Audio, Contour
from mynah.scenes.cover.split import Finder, lead_and_backing

RATE = 16_000


def sung(hz: float, seconds: float = 3.0, vibrato: float = 5.0) -> torch.Tensor:
    t = torch.arange(round(seconds * RATE)) / RATE
    phase = 2 * math.pi * hz * t + 0.3 * torch.sin(2 * math.pi * vibrato * t)
    return 0.2 * sum(torch.sin(k * phase + k) / k for k in range(1, 12))


def si_sdr(estimate: torch.Tensor, truth: torch.Tensor) -> float:
    estimate, truth = estimate.flatten(), truth.flatten()
    aim = (estimate @ truth) / (truth @ truth) * truth
    return 10 * math.log10(aim.square().sum() / (estimate - aim).square().sum())


def split(wave: torch.Tensor, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    path = write(Audio(wave, RATE), folder / "vocals.wav", bits=32, peak_db=None)
    told: list[float] = []
    lead_and_backing(path, folder / "lead.wav", folder / "backing.wav", told.append)
    assert told == sorted(told) and told[-1] == 1.0
    return read(folder / "lead.wav").samples, read(folder / "backing.wav").samples


def wide() -> torch.Tensor:
    """Two doublings of a third below, one on either side."""
    return 0.6 * torch.stack([sung(262, vibrato=4.3), sung(263.5, vibrato=6.1)])


def test_what_stands_in_the_middle_is_the_lead(tmp_path: Path) -> None:
    centre = sung(330).repeat(2, 1)
    lead, backing = split(centre + wide(), tmp_path)
    assert si_sdr(lead, centre) > si_sdr(centre + wide(), centre) + 5
    assert si_sdr(backing, wide()) > si_sdr(centre + wide(), wide()) + 3


def test_both_together_are_what_was_there(tmp_path: Path) -> None:
    vocals = torch.cat([sung(330).repeat(2, 1), torch.zeros(2, 777), wide()], -1)
    lead, backing = split(vocals, tmp_path)
    torch.testing.assert_close(lead + backing, vocals, atol=1e-6, rtol=0)


def test_a_lead_alone_stays_the_lead(tmp_path: Path) -> None:
    centre = sung(330).repeat(2, 1)
    lead, backing = split(centre, tmp_path)
    assert backing.square().mean() < 0.05 * lead.square().mean()


def test_of_mono_vocals_the_louder_melody_is_the_lead(tmp_path: Path) -> None:
    melody, other = sung(330)[None], 0.4 * sung(262, vibrato=4.3)[None]
    lead, _ = split(melody + other, tmp_path)
    assert si_sdr(lead, melody) > si_sdr(melody + other, melody) + 1


@pytest.mark.parametrize("vocals", [torch.zeros(2, RATE), torch.zeros(1, 50), sung(300, 1.0).repeat(6, 1)])
def test_silence_and_odd_channels_are_split(vocals: torch.Tensor, tmp_path: Path) -> None:
    lead, backing = split(vocals, tmp_path)
    torch.testing.assert_close(lead + backing, vocals, atol=1e-6, rtol=0)


def test_a_finder_may_see_the_frames_in_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    spectra = torch.randn(2, 129, 60, dtype=torch.complex64, generator=generator)
    melody = Contour(torch.full((100,), 200.0), 0.01, "Hz")
    whole = Finder(melody, RATE, 256)(spectra)
    finder = Finder(melody, RATE, 256)
    parts = torch.cat([finder(part) for part in spectra.split([1, 20, 39], -1)], -1)
    torch.testing.assert_close(parts, whole)
