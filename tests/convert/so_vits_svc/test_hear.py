import math
from fractions import Fraction

import pytest
import torch

from mynah.convert.so_vits_svc.hear import Stretched, volume
from mynah.nets.streams import over

STEP = Fraction(512 * 50, 44_100)  # frames of content for each of the decoder's


def test_a_held_frame_lasts_until_the_next_begins() -> None:
    content = torch.arange(20.0)[None]
    wide = torch.cat(list(over(Stretched(STEP, even=False), [content])), 1)[0, :34]
    at = torch.arange(34) * 512 / 44_100  # seconds
    assert wide.equal((at * 50).floor())


def test_even_content_is_at_the_same_time_as_before() -> None:
    content = torch.arange(20.0)[None]
    wide = torch.cat(list(over(Stretched(STEP, even=True), [content])), 1)[0, :34]
    centre = (torch.arange(34) + 0.5) * 512 / 44_100
    torch.testing.assert_close(wide, (centre * 50 - 0.5).clamp(0, 19), atol=1e-4, rtol=0)


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("step", [STEP, Fraction(1, 2), Fraction(1, 3), Fraction(1)])
def test_it_does_not_matter_how_content_is_cut(even: bool, step: Fraction) -> None:
    content = torch.randn(3, 101, generator=torch.Generator().manual_seed(0))
    whole = torch.cat(list(over(Stretched(step, even=even), [content])), 1)
    assert whole.shape == (3, math.ceil(101 / step))
    for size in (1, 7, 50):
        assert torch.cat(list(over(Stretched(step, even=even), content.split(size, 1))), 1).equal(whole)


def test_volume_is_the_root_mean_square_around_each_frame() -> None:
    wave = 0.5 * torch.sin(torch.arange(5120) * 0.3)
    assert volume(wave, 512, 12)[1:9].tolist() == pytest.approx([0.5 / 2**0.5] * 8, rel=0.02)
    assert volume(wave, 512, 12)[11] == 0
