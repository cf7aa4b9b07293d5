"""A decoder on rows of samples gives what its layers give one by one."""

import math

import pytest
import torch
from torch import Tensor

from mynah.nets import rows
from mynah.nets.normed import folded
from mynah.nets.nsf import Decoder, DecoderConfig

CONFIGS = {
    "tiled": DecoderConfig(16_000, 256, (5, 4, 2), (15, 8, 4), (3, 7), ((1, 3, 5), (1, 3, 5))),
    "odd": DecoderConfig(8_000, 32, (8, 5, 2), (16, 11, 4), (3, 11), ((1, 3), (1, 5)), normed=True),
    "single": DecoderConfig(8_000, 128, (10, 8), (20, 16), (3, 7), ((1, 2), (2, 6)), single=True),
}
PAIRS = [("tiled", True), ("odd", True), ("odd", False), ("single", False)]


def decoder(kind: str, pitched: bool) -> tuple[Decoder, list[Tensor | None]]:
    torch.manual_seed(0)
    net = folded(Decoder(8, 4, CONFIGS[kind], pitched=pitched)).requires_grad_(False)
    source = torch.randn(1, 1, 60 * net.config.hop) if pitched else None
    return net, [torch.randn(1, 8, 60), torch.randn(1, 4), source]


@pytest.mark.parametrize(("kind", "pitched"), PAIRS)
def test_listening_gives_what_learning_gives(kind: str, pitched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    net, given = decoder(kind, pitched)
    wanted = net(*given)
    with torch.no_grad():
        torch.testing.assert_close(net(*given), wanted, atol=2e-6, rtol=0)
        # Pieces leave no seams, however short.
        monkeypatch.setattr(rows, "PIECE_SECONDS", 0.03)
        net._known = None
        torch.testing.assert_close(net(*given), wanted, atol=2e-6, rtol=0)


@pytest.mark.parametrize(("kind", "pitched"), PAIRS)
@torch.no_grad()
def test_the_reach_is_how_far_a_frame_is_heard(kind: str, pitched: bool) -> None:
    net, (latent, voice, source) = decoder(kind, pitched)
    assert latent is not None
    changed = latent.clone()
    changed[..., 30] += 1
    moved = (net(changed, voice, source) - net(latent, voice, source))[0, 0].abs() > 1e-6
    frames = moved.nonzero()[[0, -1], 0] // net.config.hop
    assert 30 - net.reach() <= frames[0] and frames[1] <= 30 + net.reach()


@torch.no_grad()
def test_weights_that_were_changed_are_noticed() -> None:
    net, given = decoder("tiled", True)
    before = net(*given)
    for weight in net.parameters():
        weight.mul_(0.9)
    after = net(*given)
    assert not torch.allclose(before, after, atol=1e-3)
    with torch.enable_grad():
        torch.testing.assert_close(after, net(*given), atol=2e-6, rtol=0)


@pytest.mark.parametrize("kind", ["tiled", "odd"])
@torch.no_grad()
def test_half_the_digits_cost_what_they_are_said_to(kind: str) -> None:
    net, given = decoder(kind, True)
    exact, rough = net(*given), net(*given, precision=torch.bfloat16)
    assert rough.dtype == torch.float32
    error = 20 * math.log10((rough - exact).norm() / exact.norm())
    assert -80 < error < -50
