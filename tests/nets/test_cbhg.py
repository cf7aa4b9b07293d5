"""CBHG against the nets that published models were made with, run elsewhere in float32 from the same state."""

import pytest
import torch
from torch import Tensor, nn

from mynah.nets.cbhg import CBHG, Prenet

NEAR = 1e-5
SIZES = {
    # As in ForwardTacotron of November 2020, with sizes that need a bridge and with those that need none.
    "bridged": (CBHG(5, 6, 8, (7, 6), highways=2), -0.6819206476211548),
    "even": (CBHG(5, 6, 6, (7, 6), highways=2), -7.7554402351379395),
    # As in Real-Time Voice Cloning, whose recurrent net is half as wide.
    "half": (CBHG(5, 6, 8, (7, 6), highways=2, units=4), 0.12249720096588135),
    # As in ForwardTacotron of May 2021 and later, where the bridge is always there.
    "always": (CBHG(5, 6, 6, (7, 6), highways=2, bridge=True), 0.009591937065124512),
}
PLACES = {
    "bridged": [0.051678, 0.082005, -0.144477, 0.018411, 0.083479, 0.140519,
                -0.178009, 0.025864, 0.081936, 0.155713, -0.09674, 0.025561],
    "even": [-0.041378, 0.000305, 0.110506, -0.072553, 0.07842, 0.158198, -0.049643, 0.143556, 0.085874],
    "half": [-0.061485, 0.072304, -0.098374, 0.075597, -0.018464, 0.033139],
    "always": [0.073655, 0.057949, 0.034759, 0.145937, 0.071566, 0.043052, 0.145675, 0.04429, 0.016865],
}  # fmt: skip


def fill(net: nn.Module) -> nn.Module:
    """A state that depends on the names and shapes alone."""
    dice = torch.Generator().manual_seed(0)

    def values(name: str, old: Tensor) -> Tensor:
        if not old.is_floating_point():
            return old
        drawn = torch.rand(old.shape, generator=dice)
        return drawn + 0.5 if "running_var" in name else 0.4 * drawn - 0.2

    net.load_state_dict({name: values(name, old) for name, old in sorted(net.state_dict().items())})
    return net.eval()


@pytest.mark.parametrize("kind", SIZES)
@torch.inference_mode()
def test_it_is_the_published_net(kind: str) -> None:
    net, total = SIZES[kind]
    probe = torch.sin(torch.arange(2 * 6 * 9).reshape(2, 6, 9) * 0.37)
    heard = fill(net)(probe)
    assert heard.shape == (2, 9, 2 * net.rnn.hidden_size)
    torch.testing.assert_close(heard[1, ::4, ::5].flatten(), torch.tensor(PLACES[kind]), atol=NEAR, rtol=0)
    assert heard.sum().item() == pytest.approx(total, abs=2e-5 * heard.numel() ** 0.5)


def test_dropout_is_for_training() -> None:
    net = fill(CBHG(3, 4, 4, (4, 4), highways=1, dropout=0.5))
    x = torch.ones(1, 4, 6)
    assert net(x).equal(net(x))
    net.train()
    assert not net(x).equal(net(x))


def test_a_prenet_with_dice_drops_the_same_again_and_without_is_plain() -> None:
    net, x = Prenet(5, 16, 8), torch.ones(3, 5)
    first, second = (net(x, drop=True, dice=torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.equal(second)
    assert not first.equal(net(x, drop=False))
