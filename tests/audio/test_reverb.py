import math

import pytest
import torch

from mynah.audio.decay import reverb_in
from mynah.audio.reverb import Convolver, ReverbMatch, response
from mynah.core.errors import BadOption
from mynah.core.types import Audio

RATE = 16_000


def bursts(count: int = 12, rate: int = RATE, seed: int = 3) -> torch.Tensor:
    """Noise in notes of 0.25 to 0.55 s, and pauses of half a second and more."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(count):
        note, pause = (
            torch.rand(2, generator=generator) * torch.tensor([0.3, 0.6]) + torch.tensor([0.25, 0.5])
        ).tolist()
        parts += [0.2 * torch.randn(1, round(note * rate), generator=generator), torch.zeros(1, round(pause * rate))]
    return torch.cat(parts, -1)


def in_room(dry: torch.Tensor, reverb: ReverbMatch, rate: int = RATE) -> Audio:
    return Audio(dry + Convolver(response(reverb, rate)).push(dry), rate)


@pytest.mark.parametrize("decay_seconds", [0.5, 1.5])
def test_a_response_falls_by_60_db_in_its_time(decay_seconds: float) -> None:
    wet = response(ReverbMatch(decay_seconds, -6.0), RATE)
    assert wet.shape == (2, round(decay_seconds * RATE) + 160)  # 10 ms of nothing come first
    assert not wet[:, :160].any()
    half = round(decay_seconds * RATE / 2)
    first, second = (wet[:, at : at + RATE // 10].square().mean() for at in (160, 160 + half))
    assert 10 * (first / second).log10().item() == pytest.approx(30, abs=4)  # a little more: its treble falls faster


def test_width_is_that_of_the_side_signal() -> None:
    for width in (0.3, 1.0):
        left, right = response(ReverbMatch(1.0, 0.0, width), RATE)
        assert ((left - right).norm() / (left + right).norm()).item() == pytest.approx(width, rel=0.15)
    assert response(ReverbMatch(1.0, 0.0, 0.0), RATE).shape[0] == 1


def test_a_held_note_has_as_much_reverb_as_told() -> None:
    t = torch.arange(4 * RATE) / RATE
    held = sum(torch.sin(2 * math.pi * hz * t + hz) for hz in range(310, 3900, 37))[None]
    wet = Convolver(response(ReverbMatch(0.8, -9.0), RATE)).push(held)
    steady = slice(2 * RATE, 4 * RATE)
    gain = (wet[:, steady].square().mean() / held[:, steady].square().mean()).item()
    assert 10 * math.log10(gain) == pytest.approx(-9, abs=1.0)


def test_a_convolver_convolves() -> None:
    generator = torch.Generator().manual_seed(0)
    dry, answer = torch.randn(2, 3000, generator=generator), torch.randn(2, 700, generator=generator)
    expected = torch.stack(
        [
            torch.nn.functional.conv1d(torch.nn.functional.pad(row, (699, 0))[None, None], each.flip(0)[None, None])[
                0, 0
            ]
            for row, each in zip(dry, answer, strict=True)
        ]
    )
    convolver = Convolver(answer)
    pieces = [convolver.push(part) for part in dry.split([1, 0, 400, 2000, 599], -1)]
    torch.testing.assert_close(torch.cat(pieces, -1), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("decay_seconds", [0.4, 0.8, 1.5, 2.5])
@pytest.mark.parametrize("wet_db", [-6.0, -14.0])
def test_decay_level_and_width_are_heard(decay_seconds: float, wet_db: float) -> None:
    heard = reverb_in([in_room(bursts(), ReverbMatch(decay_seconds, wet_db, 0.6))])
    assert heard is not None
    assert heard.decay_seconds == pytest.approx(decay_seconds, rel=0.3)
    assert heard.wet_db == pytest.approx(wet_db, abs=3.5)
    assert heard.width == pytest.approx(0.6, abs=0.1)


def test_how_the_sound_is_cut_makes_no_difference() -> None:
    sound = in_room(bursts(8), ReverbMatch(0.8, -9.0, 0.5))
    cut = [Audio(part, RATE) for part in sound.samples.split(12_345, -1)]
    whole, pieces = reverb_in([sound]), reverb_in(cut)
    assert whole is not None and pieces is not None
    assert pieces.decay_seconds == pytest.approx(whole.decay_seconds, rel=1e-6)
    assert pieces.wet_db == pytest.approx(whole.wet_db, rel=1e-6)


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_a_mono_recording_of_any_rate_has_reverb_without_width(rate: int) -> None:
    heard = reverb_in([in_room(bursts(8, rate), ReverbMatch(1.0, -9.0, 0.0), rate)])
    assert heard is not None and heard.width == 0
    assert heard.decay_seconds == pytest.approx(1.0, rel=0.3)


@pytest.mark.parametrize("sound", [torch.zeros(2, RATE), bursts(), torch.zeros(1, 0), torch.ones(1, 40)])
def test_what_is_dry_or_silent_or_short_has_none(sound: torch.Tensor) -> None:
    assert reverb_in([Audio(sound, RATE)]) is None
    assert reverb_in([]) is None


def test_what_no_room_does_is_refused() -> None:
    for wrong in (ReverbMatch(0.0, -6.0), ReverbMatch(30.0, -6.0), ReverbMatch(1.0, -6.0, 2.0)):
        with pytest.raises(BadOption):
            response(wrong, RATE)
