import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mynah.audio.resample import Resampler, resample, resampled_length
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio

RATES = st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])


def tone(hz: float, rate: int, seconds: float = 1.0) -> Audio:
    t = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return Audio(torch.sin(2 * math.pi * hz * t).float()[None], rate)


@given(RATES, RATES, st.integers(0, 3000), st.lists(st.integers(0, 900), max_size=5), st.integers(1, 3))
def test_pieces_equal_the_whole_to_the_bit(
    from_rate: int, to_rate: int, time: int, cuts: list[int], channels: int
) -> None:
    samples = torch.randn(channels, time, generator=torch.Generator().manual_seed(time))
    whole = resample(Audio(samples, from_rate), to_rate)
    resampler = Resampler(from_rate, to_rate)
    pieces, start = [], 0
    for cut in [*cuts, time]:
        pieces.append(resampler.push(Audio(samples[:, start : start + cut], from_rate)))
        start += cut
    pieces.append(resampler.flush())
    assert {piece.rate for piece in pieces} == {to_rate}
    assert torch.equal(torch.cat([piece.samples for piece in pieces], -1), whole.samples)
    assert whole.samples.shape == (channels, resampled_length(time, from_rate, to_rate))


@pytest.mark.parametrize("to_rate", [16_000, 22_050, 48_000, 96_000])
def test_a_tone_keeps_its_pitch_place_and_level(to_rate: int) -> None:
    got = resample(tone(1000, 44_100), to_rate).samples
    middle = slice(to_rate // 10, -to_rate // 10)
    torch.testing.assert_close(got[:, middle], tone(1000, to_rate).samples[:, middle], atol=2e-6, rtol=0)


def test_what_the_new_rate_cannot_hold_is_gone_and_does_not_fold_back() -> None:
    got = resample(tone(10_000, 44_100), 16_000).samples[:, 1600:-1600]
    assert got.abs().max() < 1e-6


def test_a_resampler_can_be_used_again_after_flushing() -> None:
    resampler = Resampler(44_100, 16_000)
    first = [resampler.push(tone(440, 44_100)).samples, resampler.flush().samples]
    second = [resampler.push(tone(440, 44_100)).samples, resampler.flush().samples]
    assert torch.equal(torch.cat(first, -1), torch.cat(second, -1))


def test_the_same_rate_changes_nothing() -> None:
    sound = tone(440, 44_100)
    assert resample(sound, 44_100) is sound
    resampler = Resampler(44_100, 44_100)
    assert resampler.push(sound) is sound and not resampler.flush().samples.numel()


def test_blocks_of_another_kind_are_refused() -> None:
    resampler = Resampler(44_100, 16_000)
    resampler.push(tone(440, 44_100))
    with pytest.raises(BadAudio, match="48000 Hz"):
        resampler.push(tone(440, 48_000))
    with pytest.raises(BadAudio, match="2 channels"):
        resampler.push(Audio(torch.zeros(2, 10), 44_100))
    with pytest.raises(BadOption, match="0 Hz"):
        resample(tone(440, 44_100), 0)
