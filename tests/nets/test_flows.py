import torch

from mynah.nets.flows import Coupling, Flip
from mynah.nets.wavenet import WaveNet


def test_a_coupling_goes_back_where_it_came_from() -> None:
    torch.manual_seed(0)
    step, mask, voice = Coupling(6, 8, 5, 2, condition=4), torch.ones(2, 1, 12), torch.randn(2, 4, 1)
    x = torch.randn(2, 6, 12)
    torch.testing.assert_close(step(x, mask, voice), x)  # it begins as the identity
    torch.nn.init.normal_(step.post.weight)
    there = step(x, mask, voice)
    assert not torch.allclose(there, x)
    torch.testing.assert_close(step(there, mask, voice, reverse=True), x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(there[:, :3], x[:, :3])  # one half says where the other goes
    assert torch.equal(Flip()(Flip()(x)), x)


def test_a_wavenet_hears_as_far_as_its_kernels_reach() -> None:
    torch.manual_seed(0)
    net = WaveNet(4, 3, 3, dilation=2)  # reaches 1 + 2 + 4 frames
    x = torch.randn(1, 4, 40).requires_grad_()
    net(x, torch.ones(1, 1, 40))[0, :, 20].sum().backward()
    heard = x.grad[0].abs().sum(0).nonzero()[:, 0]
    assert (int(heard.min()), int(heard.max())) == (13, 27)


def test_a_wavenet_minds_mask_and_condition() -> None:
    torch.manual_seed(0)
    net = WaveNet(4, 3, 2, condition=5)
    x, mask = torch.randn(1, 4, 10), (torch.arange(10) < 6).float()[None, None]
    one, other = (net(x, mask, torch.full((1, 5, 1), told)) for told in (0.0, 1.0))
    assert not torch.allclose(one, other)
    assert not one[..., 6:].any()
