"""The energies against values computed by hand and against the published formulas in NumPy."""

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from mynah.core.errors import BadOption
from mynah.train.hyperspherical import FLOOR, Energy, hyperspherical_energy

ENERGIES = get_args(Energy)


def large(*directions: tuple[float, ...]) -> Tensor:
    """Filters so long that what is added to their squared norm does not count."""
    return 1000 * torch.tensor(directions, dtype=torch.float64)


ACROSS = large((1, 0), (0, 1))
OPPOSITE = large((1, 0), (-1, 0))
THIRDS = large((1, 0), (-0.5, math.sqrt(0.75)), (-0.5, -math.sqrt(0.75)))


@pytest.mark.parametrize(
    ("energy", "filters", "value"),
    [
        # At a right angle: a squared distance of two, half of half a turn.
        ("0", ACROSS, -math.log(2)),
        ("1", ACROSS, 1 / math.sqrt(2)),
        ("2", ACROSS, 1 / 2),
        ("a0", ACROSS, -math.log(0.5 + FLOOR)),
        ("a1", ACROSS, 0.1 / (0.5 + FLOOR)),
        ("a2", ACROSS, 0.1 / (0.5 + FLOOR) ** 2),
        # Opposite: a squared distance of four.
        ("0", OPPOSITE, -math.log(4)),
        ("1", OPPOSITE, 1 / 2),
        ("2", OPPOSITE, 1 / 4),
        # Thirds of a turn: a squared distance of three, two thirds of half a turn, in each of three pairs.
        ("0", THIRDS, -math.log(3)),
        ("2", THIRDS, 1 / 3),
        ("a1", THIRDS, 0.1 / (2 / 3 + FLOOR)),
    ],
)
def test_values_by_hand(energy: Any, filters: Tensor, value: float) -> None:
    assert hyperspherical_energy(filters, energy).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("energy", "each", "turned"),
    [("0", -math.log(2), -math.log(4)), ("1", 1 / math.sqrt(2), 1 / 2), ("2", 1 / 2, 1 / 4)],
)
def test_half_a_sphere_by_hand(energy: Any, each: float, turned: float) -> None:
    """Two filters at a right angle and both turned round: four pairs at a right angle, two opposite ones."""
    assert hyperspherical_energy(ACROSS, energy, half=True).item() == pytest.approx(
        (4 * each + 2 * turned) / 6, abs=1e-6
    )


def published(weight: np.ndarray[Any, Any], energy: str, half: bool) -> float:
    """As the published code has it, for a kernel `[time, in, out]`."""
    columns = weight.reshape(-1, weight.shape[-1])
    if half:
        columns = np.concatenate([columns, -columns], 1)
    count = columns.shape[1]
    norm = np.sqrt((columns**2).sum(0, keepdims=True) + 1e-4)
    cosine = columns.T @ columns / (norm.T @ norm)
    with np.errstate(invalid="ignore"):
        every = {
            "0": lambda: -np.log(2 - 2 * cosine + np.eye(count)),
            "1": lambda: (2 - 2 * cosine + np.eye(count)) ** -0.5,
            "2": lambda: (2 - 2 * cosine + np.eye(count)) ** -1.0,
            "a0": lambda: -np.log(np.arccos(cosine) / np.pi + 1e-4),
            "a1": lambda: 0.1 * (np.arccos(cosine) / np.pi + 1e-4) ** -1.0,
            "a2": lambda: 0.1 * (np.arccos(cosine) / np.pi + 1e-4) ** -2.0,
        }[energy]()
    return float(np.triu(every, 1).sum() / (count * (count - 1) / 2))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("energy", ENERGIES)
def test_the_published_formulas(energy: Any, half: bool) -> None:
    kernel = np.random.default_rng(0).standard_normal((15, 3, 8)) * 0.2
    ours = hyperspherical_energy(torch.from_numpy(kernel.transpose(2, 1, 0).copy()), energy, half=half)
    assert ours.item() == pytest.approx(published(kernel, energy, half), abs=1e-6)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("energy", ENERGIES)
def test_gradients_are_those_of_the_energy(energy: Any, half: bool) -> None:
    weight = torch.randn(4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: hyperspherical_energy(w, energy, half=half), weight, atol=1e-5)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("energy", ENERGIES)
def test_alike_and_silent_filters_have_finite_gradients(energy: Any, half: bool) -> None:
    weight = torch.stack([torch.full((5,), 30.0), torch.full((5,), 30.0), torch.zeros(5), torch.zeros(5)])
    weight.requires_grad_()
    value = hyperspherical_energy(weight, energy, half=half)
    value.backward()
    assert value.isfinite()
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("energy", ENERGIES)
def test_descending_spreads_the_filters(energy: Any) -> None:
    dice = torch.Generator().manual_seed(0)
    weight = (torch.ones(6, 8) + 0.3 * torch.randn(6, 8, generator=dice)).requires_grad_()
    descent = torch.optim.Adam([weight], 0.02)

    def alike() -> float:
        directions = torch.nn.functional.normalize(weight.detach(), dim=1)
        return float((directions @ directions.T)[*torch.triu_indices(6, 6, 1)].mean())

    before = alike()
    for _ in range(60):
        descent.zero_grad()
        hyperspherical_energy(weight, energy).backward()
        descent.step()
    assert alike() < before - 0.3


def test_a_single_filter_has_no_energy() -> None:
    weight = torch.randn(1, 3, 5, requires_grad=True)
    hyperspherical_energy(weight).backward()
    assert hyperspherical_energy(weight).item() == 0
    assert hyperspherical_energy(weight, half=True).item() < 0  # but its opposite is another


def test_an_unknown_energy_is_refused() -> None:
    with pytest.raises(BadOption, match="choose among 0, 1, 2, a0, a1, a2"):
        hyperspherical_energy(torch.eye(2), "3")  # type: ignore[arg-type]
