"""BSSEval 4, against museval's own numbers and what the names promise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mynah.metrics.bsseval import BssEval, bsseval

TIME = 6000
TAPS = 32


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smoothed(x: Tensor) -> Tensor:
    kernel = torch.tensor([[[0.2, 0.5, 0.3]]], dtype=torch.float64)
    return torch.nn.functional.conv1d(x.reshape(-1, 1, x.shape[-1]), kernel, padding=1).reshape(x.shape)


def test_figures_are_those_of_museval() -> None:
    """museval 0.4.1: `bss_eval(..., window=2000, hop=2000, filters_len=32, framewise_filters=False,
    bsseval_sources_version=False, compute_permutation=False)`. In the second window a stem is silent."""
    references = noise(0, 2, 2, TIME)
    estimates = 0.8 * smoothed(references) + 0.1 * references.flip(0) + 0.05 * noise(1, 2, 2, TIME)
    references[1, :, 2000:4000] = 0
    got = bsseval(references, estimates, window=2000, taps=TAPS)
    expected = BssEval(
        torch.tensor([[3.455336988778713, 3.394000342056805], [3.428825993814297, 3.4855129140199175]]),
        torch.tensor([[4.167209180014496, 4.153782791007348], [4.163166223223566, 4.183254378300352]]),
        torch.tensor([[12.32930587226138, 12.592468595021991], [12.157142906873492, 12.037440252854095]]),
        torch.tensor([[5.364360820569667, 5.302066182544918], [5.34537988389106, 5.405662592854555]]),
    )
    for figure, wanted in zip(got, expected, strict=True):
        assert figure[:, 1].isnan().all()
        torch.testing.assert_close(figure[:, ::2], wanted.double(), atol=1e-6, rtol=0)


def test_each_figure_sees_its_own_kind_of_error() -> None:
    references = noise(2, 2, 1, TIME)
    one, other = references
    late = torch.roll(one, 5, -1)  # within the taps
    spatial, leaking, broken = (
        bsseval(references, torch.stack([estimate, other]), window=TIME, taps=TAPS)
        for estimate in (one + 0.1 * late, one + 0.1 * other, one + 0.1 * noise(3, 1, TIME))
    )
    for figures in (spatial, leaking, broken):
        assert figures.sdr[0, 0] == pytest.approx(20, abs=0.3)  # a tenth of the amplitude
    assert spatial.isr[0, 0] == pytest.approx(20, abs=0.5)
    assert leaking.sir[0, 0] == pytest.approx(20, abs=0.3)
    assert broken.sar[0, 0] == pytest.approx(20, abs=0.5)
    assert min(spatial.sir[0, 0], spatial.sar[0, 0]) > 35
    assert min(leaking.isr[0, 0], leaking.sar[0, 0]) > 35
    assert min(broken.isr[0, 0], broken.sir[0, 0]) > 35


def test_a_song_of_many_passes_is_fitted_like_one_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    references = noise(4, 2, 2, TIME)
    estimates = smoothed(references) + 0.2 * references.flip(0)
    whole = bsseval(references, estimates, window=1000, taps=TAPS)
    monkeypatch.setattr("mynah.metrics.bsseval._PASS", 700)
    for figure, wanted in zip(bsseval(references, estimates, window=1000, taps=TAPS), whole, strict=True):
        torch.testing.assert_close(figure, wanted, atol=1e-7, rtol=0)


def test_two_equal_channels_are_one() -> None:
    """Where both channels of every stem are the same, their correlations cannot be inverted; the figures stay."""
    references = noise(5, 2, 1, TIME)
    estimates = references + 0.2 * references.flip(0) + 0.1 * noise(6, 2, 1, TIME)
    mono = bsseval(references, estimates, window=TIME, taps=TAPS)
    stereo = bsseval(references.expand(-1, 2, -1), estimates.expand(-1, 2, -1), window=TIME, taps=TAPS)
    for figure, wanted in zip(stereo, mono, strict=True):
        torch.testing.assert_close(figure, wanted, atol=0.01, rtol=0)


def test_a_stem_that_nobody_estimated_may_leak_in() -> None:
    references = noise(7, 3, 1, TIME)
    estimate = references[:1] + 0.1 * references[2:]
    known = bsseval(references, estimate, window=TIME, taps=TAPS)
    unknown = bsseval(references[:2], estimate, window=TIME, taps=TAPS)
    assert known.sir[0, 0] == pytest.approx(20, abs=0.3) and known.sar[0, 0] > 35
    assert unknown.sar[0, 0] == pytest.approx(20, abs=0.5) and unknown.sir[0, 0] > 35


def test_what_is_left_at_the_end_is_not_scored_unless_it_is_all() -> None:
    references = noise(8, 1, 1, 250)
    assert bsseval(references, references, window=100, taps=4).sdr.shape == (1, 2)
    assert bsseval(references, references, window=1000, taps=4).sdr.shape == (1, 1)
    with pytest.raises(ValueError, match="estimates"):
        bsseval(references, references[..., :100], window=100)
