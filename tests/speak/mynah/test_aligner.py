import torch

from mynah.speak.mynah.aligner import Aligner, best_way, diagonal, every_way
from mynah.speak.mynah.recipe.align import pauses


def test_the_best_way_is_the_best_of_all() -> None:
    near = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)).double()
    scores = {}
    for first in range(1, 6):
        for second in range(1, 7 - first):
            lasting = (first, second, 7 - first - second)
            token = torch.repeat_interleave(torch.arange(3), torch.tensor(lasting))
            scores[lasting] = near[torch.arange(7), token].sum().item()
    assert tuple(best_way(near).tolist()) == max(scores, key=lambda lasting: scores[lasting])


def test_every_way_is_the_sum_over_all_of_them() -> None:
    # Two tokens in three frames; a frame may be nothing. Counted by hand over all 27 assignments.
    near = torch.tensor([[[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]]]).log()
    scores = torch.nn.functional.pad(near, (1, 0), value=-1.0).softmax(-1)[0]
    total = 0.0
    for first in range(3):
        for second in range(3):
            for third in range(3):
                way = [first, second, third]
                kept = [at for place, at in enumerate(way) if at and (place == 0 or way[place - 1] != at)]
                if kept == [1, 2]:
                    total += float(scores[0, first] * scores[1, second] * scores[2, third])
    loss = every_way(near, torch.tensor([3]), torch.tensor([2]))
    # CTC's mean divides by the length of the text.
    torch.testing.assert_close(loss * 2, -torch.tensor(total).log(), rtol=1e-5, atol=0)


def test_the_prior_is_a_distribution_whose_middle_moves_along() -> None:
    prior = diagonal(50, 10).exp()
    torch.testing.assert_close(prior.sum(1), torch.ones(50), rtol=1e-4, atol=0)
    middles = (prior * torch.arange(10)).sum(1)
    assert (middles.diff() > 0).all()
    assert middles[0] < 1 and middles[-1] > 8


def test_tokens_beyond_the_text_are_never_near() -> None:
    symbol = torch.tensor([[3, 4, -1]])
    zeros = torch.zeros(1, 3, dtype=torch.long)
    near = Aligner()(symbol, zeros, zeros, zeros, torch.randn(1, 66, 5))
    assert (near[..., 2] < -1000).all()
    torch.testing.assert_close(near.exp().sum(-1), torch.ones(1, 5))


def test_a_pause_is_quiet_for_long_and_not_a_stop() -> None:
    level = torch.full((60,), -20.0)
    level[10:13] = -70.0
    level[30:40] = -70.0
    assert pauses(level).nonzero()[:, 0].tolist() == list(range(30, 40))
