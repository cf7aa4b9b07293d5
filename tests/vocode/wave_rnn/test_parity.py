"""WaveRNN against the net of Real-Time Voice Cloning, run once on the same made-up weights and random numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mynah.features.mel import MelFormat, deemphasised
from mynah.vocode.wave_rnn.net import FATCHORD, FORWARD_TACOTRON, VOICE_CLONING, Config, WaveRnnNet
from mynah.vocode.wave_rnn.sampling import Pieces, sampled

FORMAT = replace(VOICE_CLONING, bands=8)


def sines(shape: torch.Size, phase: int) -> Tensor:
    wave = torch.sin(torch.arange(shape.numel(), dtype=torch.float64) * 1.7 + phase)
    return (wave / shape[-1] ** 0.5).float().reshape(shape)


def made_up(net: torch.nn.Module) -> dict[str, Tensor]:
    """Weights that any machine makes alike."""
    state = {}
    for phase, (name, value) in enumerate(sorted(net.state_dict().items())):
        state[name] = sines(value.shape, phase) if value.is_floating_point() else value
        if name.endswith("running_var"):
            state[name] = 1 + 0.5 * state[name].abs() * value.shape[-1] ** 0.5
    return state


def net_of(classes: int) -> WaveRnnNet:
    net = WaveRnnNet(Config(FORMAT, (5, 5, 8), classes, units=16, hidden=16, channels=8, aside=8, blocks=2))
    net.load_state_dict(made_up(net))
    return net.eval().requires_grad_(False)


def mel(frames: int) -> Tensor:
    return torch.sin(torch.arange(8 * frames, dtype=torch.float64) * 0.37).float().reshape(1, 8, frames)


@pytest.mark.parametrize(
    ("classes", "first", "last", "total"),
    [
        (32, [-0.32105559, 0.45849785, 0.00567093], [0.12352675, -0.27654368, 0.19350177], 16227.164),
        (30, [-0.32267550, 0.46422672, 0.00581457], [-0.18162611, 0.04122458, 0.11802746], 15303.932),
    ],
)
def test_it_expects_what_the_original_expects(
    classes: int, first: list[float], last: list[float], total: float
) -> None:
    before = torch.sin(torch.arange(2000, dtype=torch.float64) * 0.11).float().reshape(2, 1000)
    said = net_of(classes)(before, torch.cat([mel(9), -mel(9)]))
    torch.testing.assert_close(said[0, 0, :3], torch.tensor(first), atol=1e-6, rtol=0)
    torch.testing.assert_close(said[1, 999, -3:], torch.tensor(last), atol=1e-6, rtol=0)
    assert said.double().abs().sum().item() == pytest.approx(total, abs=0.01)


def test_the_spectrogram_is_stretched_as_in_the_original() -> None:
    smooth, aside = net_of(32).upsample(torch.cat([mel(9), -mel(9)]))
    expected = torch.tensor([-0.00030705, -0.00070797, 0.00169793, -0.00262781])
    torch.testing.assert_close(smooth[0, 500, :4], expected, atol=1e-6, rtol=0)
    expected = torch.tensor([2.43030930, -0.79413277, -2.79440427, -2.18529844])
    torch.testing.assert_close(aside[1, 700, :4], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("classes", "expected", "total"),
    [
        (32, [-0.01859455, -0.16846608, 2.89639356, -2.10513583, 4.80141761], 923.05605),
        (30, [-0.47395429, -3.03524671, 1.90781060, -0.94926677, -1.99141119], 1465.06806),
    ],
)
def test_it_draws_what_the_original_draws_of_the_same_numbers(
    classes: int, expected: list[float], total: float
) -> None:
    sound = deemphasised(sampled(net_of(classes), mel(4)[0], seed=3)[None], 0.97)[0, :600]  # it stops a frame early
    wanted = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(sound[[5, 100, 250, 450, 599]], wanted, atol=2e-6, rtol=0)
    assert sound.abs().sum().item() == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize(("classes", "first", "second"), [(32, 54.8836754, 61.3509682), (30, 143.261288, 151.751025)])
def test_inside_of_its_pieces_it_draws_the_same(classes: int, first: float, second: float) -> None:
    cut = sampled(net_of(classes), mel(4)[0], seed=3, pieces=Pieces(200, 80))
    # In between, where the original is silent for a moment, ours is not.
    assert cut[80:280].abs().sum().item() == pytest.approx(first, abs=1e-4)
    assert cut[360:560].abs().sum().item() == pytest.approx(second, abs=1e-4)


def test_a_seam_is_as_loud_as_what_is_around_it() -> None:
    pieces = Pieces(300, 100)
    noise = torch.randn(3, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sound = pieces.joined(noise)
    assert sound.shape == (3 * 400 + 100,)
    assert sound[:400].equal(noise[0, :400])
    assert sound[800:900].square().mean().item() == pytest.approx(1, abs=0.4)
    ramp = torch.arange(1250.0, dtype=torch.float64)[:, None]
    cut = pieces.cut(ramp)
    assert cut.shape == (3, 500, 1)
    assert cut[1, 0, 0] == 400


@pytest.mark.parametrize(
    ("format", "strong", "weak", "middle"),
    [
        (VOICE_CLONING, 0.26743728, -1.0, -1.0),
        (FORWARD_TACOTRON, 0.24954361, -6.0682011, -11.512925),
        (FATCHORD, 1.0, 0.42503437, 0.88571256),
    ],
)
def test_spectrograms_are_those_of_the_originals(format: MelFormat, strong: float, weak: float, middle: float) -> None:
    t = torch.arange(9000, dtype=torch.float64)
    beating = 0.4 * torch.sin(math.tau * 220 * t / format.rate) * (1 + 0.5 * torch.sin(math.tau * 3 * t / format.rate))
    found = format((beating + 0.05 * torch.sin(math.tau * 2500 * t / format.rate)).float()[None])[0]
    # Stored from librosa 0.11, by the recipes of the three repositories.
    wanted = torch.tensor([strong, weak, middle])
    torch.testing.assert_close(found[[3, 10, 45], [0, 8, 12]], wanted, atol=5e-3, rtol=0)
