import torch

from mynah.nets.relative import RelativeAttention, RelativeEncoder


def plainly(net: RelativeAttention, x: torch.Tensor) -> torch.Tensor:
    """As Shaw et al. write it: a vector for every pair of frames, nought beyond the window."""
    size = net.emb_rel_k.shape[2]
    frames = x.shape[-1]
    distance = torch.arange(frames)[None] - torch.arange(frames)[:, None] + net.window
    known = (distance >= 0) & (distance <= 2 * net.window)
    keys, values = (
        emb[0][distance.clamp(0, 2 * net.window)] * known[..., None] for emb in (net.emb_rel_k, net.emb_rel_v)
    )
    query, key, value = (
        part(x).view(len(x), net.heads, size, frames).transpose(2, 3) for part in (net.conv_q, net.conv_k, net.conv_v)
    )
    scores = (query[:, :, :, None] * (key[:, :, None] + keys)).sum(-1) / size**0.5
    heard = (scores.softmax(-1)[..., None] * (value[:, :, None] + values)).sum(-2)
    return net.conv_o(heard.transpose(2, 3).reshape(len(x), -1, frames))


def test_diagonals_are_as_good_as_all_pairs() -> None:
    torch.manual_seed(0)
    net = RelativeAttention(8, 2, 3).eval()
    for frames in (1, 2, 3, 4, 5, 20):  # shorter than the window, and longer
        x = torch.randn(2, 8, frames)
        torch.testing.assert_close(net(x, torch.ones(2, 1, frames)), plainly(net, x), atol=1e-5, rtol=1e-5)


def test_what_is_masked_is_heard_by_nobody() -> None:
    torch.manual_seed(0)
    net = RelativeEncoder(8, 16, 2, 2, 3, window=4).eval()
    x = torch.randn(1, 8, 30)
    mask = (torch.arange(30) < 20).float()[None, None]
    changed = x.clone()
    changed[..., 20:] = 7.0
    torch.testing.assert_close(net(x, mask), net(changed, mask))
    torch.testing.assert_close(net(x, mask)[..., :20], net(x[..., :20], torch.ones(1, 1, 20)), atol=1e-5, rtol=1e-5)
    assert not net(x, mask)[..., 20:].any()


def test_distances_are_learnt() -> None:
    net = RelativeEncoder(8, 16, 2, 1, 3, window=2)
    net(torch.randn(1, 8, 6), torch.ones(1, 1, 6)).square().sum().backward()
    assert net.attn_layers[0].emb_rel_v.grad.abs().min() > 0
