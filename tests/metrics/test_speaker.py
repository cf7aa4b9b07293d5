from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.core.errors import BadAudio
from mynah.core.types import Audio
from mynah.metrics.speaker import Likeness, groups, likeness

RATE = 1000


class Colour:
    """An ear that tells voices by their mean: angle in a plane."""

    def embed(self, clips: Sequence[Audio]) -> Tensor:
        angle = torch.stack([clip.samples.mean() for clip in clips]).mean()
        return F.normalize(torch.stack([angle.cos(), angle.sin()]), dim=0)


def voice(angle: float, seconds: float = 20.0, spread: float = 0.0) -> Audio:
    """A recording whose voice wanders by `spread` from second to second."""
    wander = spread * torch.sin(torch.arange(int(seconds * RATE)) / RATE)
    return Audio((angle + wander)[None], RATE)


def test_doing_nothing_is_the_floor_and_the_target_itself_the_ceiling() -> None:
    source, target = voice(0.0), voice(1.2, spread=0.3)
    nothing = likeness([source], [source], [target], Colour())
    assert nothing.share == pytest.approx(0)
    perfect = likeness([voice(1.2, spread=0.3)], [source], [target], Colour())
    assert perfect.share == pytest.approx(1, abs=0.05)
    halfway = likeness([voice(0.8)], [source], [target], Colour())
    assert nothing.share is not None
    assert halfway.share is not None
    assert perfect.share is not None
    assert nothing.share < halfway.share < perfect.share
    assert nothing.floor == halfway.floor == perfect.floor
    assert nothing.ceiling == perfect.ceiling < 1


def test_the_ceiling_is_lower_for_a_voice_that_varies() -> None:
    steady, varied = voice(1.0, 60.0), Audio(torch.cat([voice(a, 10.0).samples for a in (0.5, 1.5) * 3], 1), RATE)
    assert likeness([steady], [steady], [steady], Colour()).ceiling == pytest.approx(1)
    assert likeness([steady], [steady], [varied], Colour()).ceiling < 0.9


def test_a_share_of_no_way_at_all_is_none() -> None:
    assert Likeness(value=0.7, floor=0.9, ceiling=0.905).share is None
    assert Likeness(value=0.7, floor=0.9, ceiling=0.8).share is None


@pytest.mark.parametrize(
    "lengths", [[4.0], [9.0], [35.0], [2.0, 2.0], [3.0] * 12, [1.0, 60.0], [60.0, 1.0], [9.0, 1.0], [0.5] * 9]
)
def test_groups_are_two_at_least_and_hold_everything(lengths: list[float]) -> None:
    made = groups([voice(0.0, seconds) for seconds in lengths])
    seconds = [sum(part.seconds for part in group) for group in made]
    assert len(made) >= 2
    assert all(seconds)
    assert sum(seconds) == pytest.approx(sum(lengths))
    assert max(seconds) < 20


def test_too_little_is_said() -> None:
    with pytest.raises(BadAudio, match=r"3\.0 s of the target"):
        likeness([voice(0)], [voice(0)], [voice(1, 3.0)], Colour())
    with pytest.raises(BadAudio, match="nothing to compare"):
        likeness([], [voice(0)], [voice(1)], Colour())
