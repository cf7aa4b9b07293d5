"""The objectives against direct formulas, and what gradients reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mynah.convert.ucd_svc.critics import Critics
from mynah.convert.ucd_svc.listeners import Activations, melody_activations, student_ear, windows
from mynah.convert.ucd_svc.objectives import SIZES, generator_objective, perceptual, reconstruction
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.crepe import Crepe
from mynah.train.losses import critic_loss, fooled_loss

WEIGHTS = {"convergence": 1.0, "magnitude": 1.0, "words": 1.0}


def noise(seed: int, count: int = 2, length: int = 8000) -> torch.Tensor:
    return 0.1 * torch.randn(count, length, generator=torch.Generator().manual_seed(seed))


def small_student() -> ContentStudent:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ContentStudent(ContentConfig(channels=16, dilations=(1, 1), ahead=(1, 0)))


def test_the_same_sound_has_no_spectral_loss() -> None:
    assert [loss.item() for loss in reconstruction(noise(0), noise(0))] == [0.0, 0.0]


def test_spectral_losses_are_their_formulas() -> None:
    made, recorded = noise(0), noise(1)
    convergence, magnitude = [], []
    for size in SIZES:
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        spectra = []
        for wave in (made, recorded):
            padded = np.pad(wave.double().numpy(), ((0, 0), (size // 2, size // 2)), "reflect")
            frames = np.lib.stride_tricks.sliding_window_view(padded, size, -1)[:, :: size // 4]
            spectra.append(np.maximum(np.abs(np.fft.rfft(frames * window)), 1e-7**0.5))
        ours, theirs = spectra
        convergence.append(np.sqrt(((theirs - ours) ** 2).sum() / (theirs**2).sum()))
        magnitude.append(np.abs(np.log(ours) - np.log(theirs)).mean())
    found = reconstruction(made, recorded)
    assert found[0].item() == pytest.approx(np.mean(convergence), abs=1e-6)
    assert found[1].item() == pytest.approx(np.mean(magnitude), abs=1e-5)
    assert np.abs(found[1].item() / np.mean(magnitude) - 1) < 1e-6


def test_silence_has_no_endless_loss() -> None:
    made = noise(0).requires_grad_()
    total = torch.stack(reconstruction(made, torch.zeros(2, 8000))).sum()
    total.backward()
    assert total.isfinite()
    assert made.grad is not None
    assert made.grad.isfinite().all()


def test_critics_are_judged_by_least_squares() -> None:
    real, fake = torch.tensor([[0.8, 0.5]]), torch.tensor([[0.1, -0.3]])
    wanted = ((1 - real) ** 2).mean() + (fake**2).mean()
    assert critic_loss([(real, [])], [(fake, [])]).item() == pytest.approx(wanted.item())
    assert fooled_loss([(fake, [])]).item() == pytest.approx(((1 - fake) ** 2).mean().item())


def test_critics_hear_three_scales() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        verdicts = Critics(channels=4)(noise(0))
    lengths = [verdict.shape[-1] for verdict, _ in verdicts]
    assert [round(lengths[0] / length) for length in lengths] == [1, 2, 4]
    assert sum(parameter.numel() for parameter in Critics().members[0].parameters()) > 4e6  # as large as MelGAN's


def test_words_are_compared_by_what_a_frozen_net_answers() -> None:
    ear = student_ear(small_student())
    made, recorded = noise(0).requires_grad_(), noise(1).requires_grad_()
    loss = perceptual(ear.activations(made), ear.activations(recorded))
    loss.backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    assert recorded.grad is None
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in ear.net.parameters())
    assert perceptual(ear.activations(recorded), ear.activations(recorded)).item() == 0.0


def test_melodies_are_compared_by_crepes_activations() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        judge = melody_activations(Crepe(1))
    centres = torch.tensor([[1600, 4000], [800, 3200]])
    made, recorded = noise(0).requires_grad_(), noise(1).requires_grad_()
    ours, theirs = judge(windows(made, centres)), judge(windows(recorded, centres))
    assert len(ours) == len(judge.layers)
    assert len(ours[0]) == 4
    sure = torch.tensor([1.0, 0.0, 1.0, 0.0])
    perceptual(ours, theirs, sure).backward()
    assert made.grad is not None
    assert made.grad[0, 1100:2000].abs().sum() > 0
    assert made.grad[0, 3600:].abs().sum() == 0  # nobody sings there
    assert recorded.grad is None
    assert all(parameter.grad is None for parameter in judge.net.parameters())


def test_windows_are_crepes_own() -> None:
    """Cut and standardised as the tracker does it."""
    wave = noise(3, count=1)
    heard: list[torch.Tensor] = []

    class Listening(Crepe):
        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            heard.append(windows)
            return torch.zeros(len(windows), 360)

    Listening(1).probabilities(wave[0])
    ours = windows(wave, torch.arange(0, 8000, 160)[None])
    # The tracker divides by the deviation with one degree of freedom less.
    assert ours.allclose(heard[0] * (1024 / 1023) ** 0.5, atol=1e-3)


def test_only_ones_own_singing_is_reconstructed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.Tensor] = []

    def counted(made: torch.Tensor, recorded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(made)
        return made.sum(), made.sum()

    monkeypatch.setattr("mynah.convert.ucd_svc.objectives.reconstruction", counted)
    own, swapped, virtual = noise(0), noise(1), noise(2)
    layers = [torch.ones(2, 3)]
    words = {"words": (layers, layers, None)}
    losses = generator_objective({"swapped": swapped, "virtual": virtual}, noise(4), words, WEIGHTS)
    assert list(losses) == ["words"]
    assert not asked
    generator_objective({"own": own, "swapped": swapped, "virtual": virtual}, noise(4), words, WEIGHTS)
    assert len(asked) == 1
    assert asked[0] is own


def test_a_net_that_listens_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    assert Activations(net, ("0",))(torch.ones(1, 2))[0].shape == (1, 2)
    assert not net[0]._forward_hooks
