import math

import pytest
import torch

from mynah.audio.effects import fade, gain, high_pass
from mynah.core.errors import BadOption
from mynah.core.types import Audio

RATE = 16_000


def tone(hz: float, seconds: float = 1.0) -> Audio:
    t = torch.arange(round(seconds * RATE)) / RATE
    return Audio(torch.sin(2 * math.pi * hz * t).expand(2, -1), RATE)


def test_gain() -> None:
    assert gain(tone(440), 20).samples.max() == pytest.approx(10, rel=1e-3)
    assert not gain(tone(440), -math.inf).samples.any()


def test_fades_start_and_end_in_silence_and_leave_the_middle_alone() -> None:
    ones = Audio(torch.ones(1, 1000), 1000)
    got = fade(ones, in_seconds=0.1, out_seconds=0.3).samples[0]
    assert got[0] < 0.01 and got[-1] < 0.01
    assert torch.equal(got[100:700], torch.ones(600))
    assert (got[:100].diff() > 0).all() and (got[700:].diff() < 0).all()
    assert torch.equal(fade(ones).samples, ones.samples)


def test_fades_longer_than_the_sound_end_with_it() -> None:
    got = fade(Audio(torch.ones(2, 10), 1000), in_seconds=5, out_seconds=5).samples
    assert got.shape == (2, 10) and got.max() < 0.6
    with pytest.raises(BadOption):
        fade(tone(440), in_seconds=-1)


def test_a_high_pass_takes_the_low_and_keeps_the_high_in_its_place() -> None:
    low, high = tone(20), tone(1000)
    got = high_pass(Audio(low.samples + high.samples, RATE), 80.0).samples
    torch.testing.assert_close(got[:, 2000:-2000], high.samples[:, 2000:-2000], atol=1e-3, rtol=0)
    edge = high_pass(tone(80), 80.0).samples[:, 4000:-4000]
    assert 20 * math.log10(edge.abs().max()) == pytest.approx(-6, abs=0.2)


@pytest.mark.parametrize("length", [1, 2, 50])
def test_a_high_pass_takes_sounds_of_any_length(length: int) -> None:
    got = high_pass(Audio(torch.ones(1, length), RATE), 80.0).samples
    assert got.shape == (1, length) and got.isfinite().all()


@pytest.mark.parametrize("hz", [0.0, -5.0, 8000.0, math.nan])
def test_a_high_pass_at_no_frequency(hz: float) -> None:
    with pytest.raises(BadOption, match="high-pass"):
        high_pass(tone(440), hz)
