"""The multichannel Wiener filter: the formula, and what it is good for."""

import numpy as np
import torch
from torch import Tensor

from mynah.separate.spleeter.wiener import filtered, placed


def test_the_wiener_filter_is_that_of_the_books() -> None:
    """Against matrices that NumPy inverts one by one."""
    dice = np.random.default_rng(3)
    guess = np.abs(dice.standard_normal((3, 2, 4, 9)))
    mix = 30 * (dice.standard_normal((2, 6, 9)) + 1j * dice.standard_normal((2, 6, 9)))
    eps = np.finfo(np.float32).eps
    scale = np.abs(mix).max() / 10
    first = guess / (eps + guess.sum(0)) * mix[:, :4] / scale
    wanted = np.zeros((3, 2, 6, 9), complex)
    for f in range(4):
        power = (np.abs(first[:, :, f]) ** 2).mean(1)
        places = [stem @ stem.conj().T / (eps + own.sum()) for stem, own in zip(first[:, :, f], power, strict=True)]
        for t in range(9):
            every = sum(own[t] * place for own, place in zip(power, places, strict=True)) + eps**0.5 * np.eye(2)
            for stem in range(3):
                wanted[stem, :, f, t] = power[stem, t] * places[stem] @ np.linalg.inv(every) @ mix[:, f, t]
    estimates, spectrum = torch.from_numpy(guess).float(), torch.from_numpy(mix).to(torch.complex64)
    pieces = list(zip(estimates.split(4, -1), spectrum.split(4, -1), strict=True))
    known = placed(pieces)
    ours = torch.cat([filtered(*piece, known) for piece in pieces], -1)
    np.testing.assert_allclose(ours.numpy(), wanted, atol=2e-3 * 30 * 1e-1, rtol=1e-3)


def test_the_wiener_filter_hears_who_stands_where() -> None:
    """Two voices in the same bins, left and right: the nets cannot tell them apart wherever both sound, places can."""
    dice = torch.Generator().manual_seed(0)
    one, two = torch.randn(2, 64, 400, 2, generator=dice).double()
    left, right = torch.view_as_complex(one) * 5, torch.view_as_complex(two) * 5
    left[:, :100] = 0
    right[:, 300:] = 0
    stand = torch.tensor([[1.0, 0.3], [0.3, 1.0]])
    truth = torch.stack([stand[0, :, None, None] * left, stand[1, :, None, None] * right]).to(torch.complex64)
    mix = truth.sum(0)
    guess = truth.abs().mean(1, keepdim=True).expand(-1, 2, -1, -1) + 0.3 * mix.abs()
    masks = guess / guess.sum(0) * mix
    better = filtered(guess, mix, placed([(guess, mix)]))

    def wrong(stems: Tensor) -> float:
        return (stems - truth)[..., 100:300].abs().square().sum().item()

    assert wrong(better) < 0.4 * wrong(masks)
