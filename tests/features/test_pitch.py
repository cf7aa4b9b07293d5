from __future__ import annotations

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mynah.core.errors import BadAudio, BadOption, MissingExtra
from mynah.core.types import Audio, Contour
from mynah.features import octave
from mynah.features import pitch as tracking
from mynah.features.grid import onto_grid
from mynah.features.pitch import contour_of, pitch

RATE = 16_000


def sung(hz: Tensor | float, seconds: float = 1.0, *, rate: int = RATE, harmonics: int = 8) -> Audio:
    """A voice-like tone; `hz` may change over time."""
    steps = torch.ones(int(seconds * rate), dtype=torch.float64) * hz
    phase = 2 * torch.pi * steps.cumsum(0) / rate
    return Audio((0.2 * sum(torch.sin(k * phase) / k for k in range(1, harmonics + 1))).float()[None], rate)


def noise(seconds: float = 1.0, level: float = 0.1, rate: int = RATE) -> Audio:
    dice = torch.Generator().manual_seed(0)
    return Audio(level * torch.randn(1, int(seconds * rate), generator=dice), rate)


def cents(melody: Contour, hz: float | Tensor, margin: int = 12) -> Tensor:
    """How far the inner frames are off; fails if any is unvoiced."""
    inner = (1200 * (melody.values / hz).log2())[margin:-margin]
    assert inner.isfinite().all()
    return inner


@pytest.mark.parametrize("hz", [82.4, 146.8, 220.0, 440.0, 880.0, 1318.5])
def test_a_tone_has_its_pitch(hz: float) -> None:
    melody = pitch(sung(hz, 0.6))
    assert cents(melody, hz).abs().max() < 15
    assert melody.unit == "Hz"
    assert melody.values.dtype == torch.float32


def test_a_glide_is_followed_in_time_and_pitch() -> None:
    seconds = torch.arange(32_000, dtype=torch.float64) / RATE
    melody = pitch(sung(150 * 2**seconds, 2.0))
    expected = 150 * 2 ** (torch.arange(200) * 0.01)
    assert cents(melody, expected).abs().median() < 6  # 12 cents are sung in one frame of 10 ms
    assert cents(melody, expected).abs().max() < 25


def test_harvest_agrees() -> None:
    melody = pitch(sung(220.0), tracker="harvest")
    assert cents(melody, 220).abs().max() < 10
    assert melody.confidence is None


def test_the_pitch_does_not_depend_on_rate_channels_and_level() -> None:
    reference = cents(pitch(sung(220.0)), 220.0)
    for source in (
        sung(220.0, rate=44_100),
        Audio(sung(220.0).samples.expand(12, -1), RATE),
        Audio(0.02 * sung(220.0).samples, RATE),
    ):
        torch.testing.assert_close(cents(pitch(source), 220.0), reference, atol=4.0, rtol=0)


def test_silence_and_noise_have_no_pitch() -> None:
    assert pitch(Audio(torch.zeros(1, RATE), RATE)).values.isnan().all()
    assert pitch(noise()).values.isnan().float().mean() > 0.95
    whisper_quiet = Audio(1e-3 * sung(220.0).samples, RATE)
    assert pitch(whisper_quiet).values.isnan().all()


def test_the_borders_of_a_note_are_where_they_are() -> None:
    rest = torch.zeros(1, RATE // 2)
    melody = pitch(Audio(torch.cat([rest, sung(220.0).samples, rest], 1), RATE))
    voiced = melody.values.isfinite().nonzero()[:, 0]
    assert voiced[0].item() == pytest.approx(50, abs=4)
    assert voiced[-1].item() == pytest.approx(150, abs=4)
    assert len(voiced) == voiced[-1] - voiced[0] + 1


def test_a_hum_without_harmonics_has_a_pitch() -> None:
    source = sung(220.0, harmonics=1)
    # The tracker by itself is not sure enough.
    assert tracking._swift(source.samples[0], 50, 1600)[1].median() < 0.5
    assert cents(pitch(source), 220.0).abs().max() < 10
    assert pitch(Audio(0.01 * source.samples, RATE)).values.isnan().all(), "that quiet it may be the mains"


def test_confidence_tells_a_tone_from_noise() -> None:
    sure, unsure = pitch(sung(220.0)).confidence, pitch(noise()).confidence
    assert sure is not None
    assert unsure is not None
    assert sure.median() > 0.8
    assert unsure.median() < 0.5
    assert min(sure.min(), unsure.min()) >= 0
    assert max(sure.max(), unsure.max()) <= 1


@pytest.mark.parametrize(
    ("seconds", "hop", "frames"), [(1.0, 0.01, 100), (1.001, 0.01, 101), (0.5, 0.005, 100), (0.001, 0.01, 1)]
)
def test_there_is_a_frame_for_every_hop(seconds: float, hop: float, frames: int) -> None:
    melody = pitch(sung(220.0, seconds), hop_seconds=hop)
    assert melody.values.shape == (frames,)
    assert melody.confidence is not None
    assert melody.confidence.shape == (frames,)
    assert melody.hop_seconds == hop


@pytest.mark.parametrize(
    ("tracker", "rate", "seconds"), [("swift-f0", RATE, 5.0), ("swift-f0", 22_050, 5.0), ("harvest", RATE, 2.2)]
)
def test_chunked_equals_whole(tracker: str, rate: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_STRETCH_SECONDS", 1)
    t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    source = sung(200 + 60 * torch.sin(t), seconds, rate=rate)
    whole = pitch(source, tracker=tracker)
    cut = contour_of((Audio(part, rate) for part in source.samples.split(7777, -1)), tracker=tracker)
    torch.testing.assert_close(cut.values, whole.values, rtol=0, atol=0, equal_nan=True)


def test_it_tells_how_far_it_is() -> None:
    told: list[float] = []
    contour_of([sung(220.0), sung(220.0, 0.5)], told=told.append)
    assert told == [1.0, 1.5]


def test_stretches_meet_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = torch.arange(4 * RATE, dtype=torch.float64) / RATE
    source = sung(200 + 60 * torch.sin(seconds), 4.0)
    whole = pitch(source)
    monkeypatch.setattr(tracking, "_STRETCH_SECONDS", 1)
    torch.testing.assert_close(pitch(source).values, whole.values, rtol=1e-4, atol=0, equal_nan=True)


# Octaves


@pytest.mark.parametrize("hz", [220.0, 440.0, 880.0])
@pytest.mark.parametrize("ripple", [0.003, 0.05])
def test_a_pure_tone_with_a_faint_ripple_is_not_heard_an_octave_low(hz: float, ripple: float) -> None:
    t = torch.arange(RATE, dtype=torch.float64) / RATE
    wave = 0.2 * (torch.sin(2 * torch.pi * hz * t) + ripple * torch.sin(torch.pi * hz * t + 0.3))
    source = Audio(wave.float()[None], RATE)
    # This is what repair is for: the tracker by itself is wrong here.
    assert tracking._swift(source.samples[0], 50, 1600)[0].median().item() == pytest.approx(hz / 2, rel=0.02)
    assert cents(pitch(source), hz).abs().max() < 20


def test_a_voice_with_a_strong_second_harmonic_stays_where_it_is() -> None:
    t = torch.arange(RATE, dtype=torch.float64) / RATE
    strengths = {1: 0.3, 2: 1.0, 3: 0.2, 4: 0.3}
    wave = sum(gain * torch.sin(2 * torch.pi * 130 * k * t + k) for k, gain in strengths.items())
    assert cents(pitch(Audio((0.2 * wave).float()[None], RATE)), 130).abs().max() < 20


@pytest.mark.parametrize("wrong", [0.5, 2.0])
@pytest.mark.parametrize("frames", [slice(40, 43), slice(20, 60), slice(0, 100)])
def test_wrong_octaves_are_put_right_by_the_sound(wrong: float, frames: slice) -> None:
    # Half the pitch is only wrong beyond doubt where a note has no odd harmonics of it, as this one.
    wave = sung(220.0).samples[0]
    tracked = torch.full((100,), 220.0)
    tracked[frames] *= wrong
    rows = octave.evidence(wave, tracked, 160)
    right = octave.repaired(tracked, torch.ones(100, dtype=torch.bool), rows[1:], 50, 1600)
    torch.testing.assert_close(right[5:-5], torch.full((90,), 220.0))


def test_a_real_leap_of_an_octave_stays() -> None:
    hz = torch.cat([torch.full((RATE // 2,), 200.0), torch.full((RATE // 2,), 400.0), torch.full((RATE // 2,), 200.0)])
    melody = pitch(sung(hz.double(), 1.5))
    for middle, expected in ((25, 200), (75, 400), (125, 200)):
        assert melody.values[middle].item() == pytest.approx(expected, rel=0.01)


def test_repair_does_not_leave_the_range() -> None:
    wave = sung(220.0).samples[0]
    tracked = torch.full((100,), 110.0)
    rows = octave.evidence(wave, tracked, 160)
    kept = octave.repaired(tracked, torch.ones(100, dtype=torch.bool), rows[1:], 50, 200)
    assert kept.equal(tracked)


def test_evidence_tells_level_and_period() -> None:
    tracked = torch.full((100,), 220.0)
    level, whole, double, half = octave.evidence(sung(220.0, harmonics=1).samples[0], tracked, 160)[:, 5:-5]
    torch.testing.assert_close(level, torch.full_like(level, -16.99), atol=0.1, rtol=0)  # 0.2 / sqrt(2)
    torch.testing.assert_close(whole, torch.ones_like(whole), atol=0.02, rtol=0)
    torch.testing.assert_close(double, -torch.ones_like(double), atol=0.02, rtol=0)
    torch.testing.assert_close(half, torch.ones_like(half), atol=0.02, rtol=0)


# Mending


def test_a_gap_of_one_frame_within_a_note_is_filled() -> None:
    hz = torch.tensor([200.0, 200, torch.nan, 202, 202, torch.nan, torch.nan, 202, 202, torch.nan, 300, 300])
    mended = tracking._mended(hz, torch.full_like(hz, 0.4), 0.5)
    assert mended[2].item() == pytest.approx(201, abs=0.1)
    assert mended[5:7].isnan().all(), "two frames are a rest"
    assert mended[9].isnan(), "a fifth is another note"
    assert tracking._mended(hz, torch.full_like(hz, 0.1), 0.5)[2].isnan(), "nothing was heard there"


def test_a_note_of_one_frame_is_dropped() -> None:
    nan = torch.nan
    mended = tracking._mended(torch.tensor([nan, nan, 300.0, nan, nan, 200, 200]), torch.zeros(7), 0.5)
    assert mended.isfinite().tolist() == [False] * 5 + [True] * 2


# The grid


def test_between_two_notes_there_is_no_glide() -> None:
    at = torch.tensor([0.0, 0.1])
    leap, _ = onto_grid(at, torch.tensor([200.0, 400.0]), torch.ones(2), 11, 0.01)
    assert set(leap.tolist()) == {200.0, 400.0}
    glide, _ = onto_grid(at, torch.tensor([200.0, 220.0]), torch.ones(2), 11, 0.01)
    assert (glide.diff() > 0).all()


@given(st.lists(st.sampled_from([100.0, 110.0, 300.0, float("nan")]), min_size=1, max_size=9), st.integers(1, 40))
def test_a_grid_invents_nothing(values: list[float], count: int) -> None:
    hz = torch.tensor(values)
    at = torch.arange(len(values), dtype=torch.float64) * 0.016
    grid, sure = onto_grid(at, hz, torch.ones(len(values)), count, 0.0101)  # no frame is midway between two
    assert grid.shape == sure.shape == (count,)
    heard = grid[grid.isfinite()]
    if len(heard):
        assert hz[hz.isfinite()].min() * 0.999 <= heard.min()
        assert heard.max() <= hz[hz.isfinite()].max() * 1.001
    nearest = (torch.arange(count, dtype=torch.float64) * 0.0101 / 0.016).round().long().clamp(max=len(values) - 1)
    assert grid.isnan().equal(hz[nearest].isnan())


# Bad input


def test_bad_recordings_are_refused() -> None:
    with pytest.raises(BadAudio, match="empty"):
        pitch(Audio(torch.zeros(1, 0), RATE))
    with pytest.raises(BadAudio, match="empty"):
        contour_of([])
    with pytest.raises(BadAudio, match="NaN"):
        pitch(Audio(torch.full((1, 900), torch.nan), RATE))


@pytest.mark.parametrize("samples", [1, 2, 255, 256, 257])
@pytest.mark.parametrize("rate", [8000, 16_000, 192_000])
def test_very_short_recordings_have_a_contour(samples: int, rate: int) -> None:
    melody = pitch(Audio(torch.full((1, samples), 0.1), rate))
    assert len(melody.values) >= 1


def test_bad_options_are_refused() -> None:
    with pytest.raises(BadOption, match="swift-f0, crepe, crepe-tiny, harvest"):
        pitch(sung(220.0), tracker="perfect")
    with pytest.raises(BadOption, match="hop"):
        pitch(sung(220.0), hop_seconds=0.5)
    with pytest.raises(BadOption, match="between 400 and 300 Hz"):
        pitch(sung(220.0), low_hz=400, high_hz=300)


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(MissingExtra, match=r"mynah\[world\]"):
        pitch(sung(220.0), tracker="harvest")
