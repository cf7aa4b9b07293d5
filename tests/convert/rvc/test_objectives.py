"""Critics and losses by parity with the reference (RVC, main branch, July 2026), from the same weights and noise."""

import pytest
import torch

from mynah.catalog.checkpoint import load_strict
from mynah.convert.rvc.recipe.critics import Critics
from mynah.convert.rvc.recipe.losses import kl, linear
from mynah.convert.rvc.sizes import published
from mynah.train.losses import adversarial, critic_loss
from tests.convert.rvc.test_parity import NEAR, filled, probe, white

# Scores, and what all layers saw one behind the other, of three critics of version 2: of the wave, and of periods 2 and
# 37.
SEEN = {
    0: ([0.117983, 0.139546, 0.140886, 0.10854, 0.136867, 0.014319],
        [0.091841, 0.185761, 0.111255, 0.013256, 0.102669, 0.235204]),
    1: ([0.148332, 0.173242, 0.164949, 0.180491, 0.180039, 0.014134],
        [-0.001464, 0.411695, 0.061197, -0.006909, -0.015716, 0.207459]),
    8: ([0.135855, 0.137652, 0.13152, 0.141386, 0.136267, 0.001911],
        [-0.000558, -0.010395, -0.001169, 0.058726, 0.110602, 0.184835]),
}  # fmt: skip


@pytest.mark.parametrize(("version", "parameters", "keys"), [("v1", 54_968_286, 129), ("v2", 71_410_594, 165)])
def test_critics_are_as_large_as_the_original(version: str, parameters: int, keys: int) -> None:
    with torch.device("meta"):
        critics = Critics(version)
    assert sum(value.numel() for value in critics.parameters()) == parameters
    assert len(critics.state_dict()) == keys


@pytest.mark.parametrize("number", SEEN)
@torch.no_grad()
def test_critics_see_what_the_original_sees(number: int) -> None:
    with torch.device("meta"):
        critic = Critics("v2").discriminators[number]
    critic = critic.to_empty(device="cpu")
    load_strict(critic, filled(critic.state_dict(), 7), "the test")
    scores, seen = critic(white(11, 2, 1, 2000))
    wanted, layers = SEEN[number]
    assert probe(scores) == pytest.approx(wanted, **NEAR)
    assert probe(torch.cat([layer.flatten() for layer in seen])) == pytest.approx(layers, **NEAR)


def test_losses_are_those_of_the_original() -> None:
    mask = torch.ones(2, 1, 6)
    mask[1, :, 4:] = 0
    parts = [white(20 + number, 2, 3, 6) for number in range(4)]
    assert kl(parts[0], parts[1], parts[2], parts[3], mask).item() == pytest.approx(3.593692, rel=1e-5)
    real = [(white(31, 2, 3, 4), [white(30, 2, 5), white(31, 2, 3, 4)]), (white(32, 2, 7), [white(32, 2, 7)])]
    made = [(white(34, 2, 3, 4), [white(33, 2, 5), white(34, 2, 3, 4)]), (white(35, 2, 7), [white(35, 2, 7)])]
    losses = adversarial(made, real)
    assert 2 * losses["feature"].item() == pytest.approx(7.113428, rel=1e-5)
    assert losses["score"].item() == pytest.approx(3.203388, rel=1e-5)
    assert 2 * critic_loss(real, made).item() == pytest.approx(5.827682, rel=1e-5)


def test_spectra_are_those_of_the_original() -> None:
    spectrum = linear(0.3 * white(12, 1, 4800), published("v2", 48_000))
    assert spectrum.shape == (1, 1025, 10)
    wanted = [6.190431, 11.743021, 2.901998, 3.385908, 3.055529, 3.998132]
    assert probe(spectrum) == pytest.approx(wanted, abs=1e-4, rel=1e-5)
