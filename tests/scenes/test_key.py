import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mynah.audio.files import read, write
from mynah.core.errors import BadOption, MissingExtra
from mynah.core.types import Audio
from mynah.scenes.cover import key
from mynah.scenes.cover.key import moved, shifted

pytest.importorskip("pedalboard")
RATE = 22_050


def moved_whole(wave: torch.Tensor, semitones: float, rate: int = RATE) -> torch.Tensor:
    return torch.cat(list(moved([wave], rate, semitones)), -1)


def tone(hz: float, seconds: float, rate: int = RATE) -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * hz * torch.arange(round(seconds * rate), dtype=torch.float64) / rate).float()


def heard_hz(wave: torch.Tensor, rate: int = RATE) -> float:
    """By the phase that a windowed spectrum's peak gains in ten milliseconds."""
    hop, size = rate // 100, 1 << 14
    first, second = (torch.fft.rfft(wave[at : at + size] * torch.hann_window(size)) for at in (0, hop))
    peak = int(first.abs().argmax())
    turn = (second[peak] / first[peak]).angle().item() / (2 * math.pi)
    rough = peak * rate / size
    return (turn + round(rough * hop / rate - turn)) * rate / hop


@pytest.mark.parametrize("semitones", [3, -4.5])
def test_a_tone_moves_by_the_interval_and_keeps_its_level(semitones: float) -> None:
    wave = torch.stack([tone(440, 4.0), 0.5 * tone(440, 4.0)])
    result = moved_whole(wave, semitones)
    assert result.shape == wave.shape
    middle = result[:, RATE : 3 * RATE]
    cents = 1200 * math.log2(heard_hz(middle[0]) / 440) - 100 * semitones
    assert abs(cents) < 4
    assert middle[0].std().item() == pytest.approx(0.3 / 2**0.5, rel=0.05)
    torch.testing.assert_close(middle[1], 0.5 * middle[0], atol=1e-3, rtol=0)  # left and right keep their balance


@pytest.mark.parametrize("semitones", [3, -4])
def test_clicks_stay_where_they_were_over_joints_too(semitones: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key, "_STRETCH_SECONDS", 2.0)
    wave = torch.zeros(1, 7 * RATE)
    generator = torch.Generator().manual_seed(1)
    starts = list(range(RATE // 2, 7 * RATE - RATE // 4, RATE // 3))
    for start in starts:
        wave[0, start : start + 100] = torch.randn(100, generator=generator) * torch.linspace(1, 0, 100)
    result = moved_whole(wave, semitones)
    assert result.shape == wave.shape
    for start in starts:
        near = slice(start - RATE // 10, start + RATE // 10)
        before, after = (middle(sound[0, near]) for sound in (wave, result))
        assert abs(after - before) / RATE < 0.005


def middle(wave: torch.Tensor) -> float:
    energy = wave.double().square()
    return float((energy * torch.arange(len(energy))).sum() / energy.sum())


def test_a_joint_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = sum(tone(hz, 5.0) for hz in (220, 277.2, 329.6))[None]
    monkeypatch.setattr(key, "_STRETCH_SECONDS", 2.0)
    joined = moved_whole(wave, 2)[0, RATE // 2 : -RATE // 2]
    level = joined.unfold(0, RATE // 10, RATE // 20).square().mean(1).sqrt()
    monkeypatch.setattr(key, "_STRETCH_SECONDS", 20.0)
    whole = moved_whole(wave, 2)[0, RATE // 2 : -RATE // 2]
    expected = whole.unfold(0, RATE // 10, RATE // 20).square().mean(1).sqrt()
    assert 20 * (level.min() / expected.min()).log10() > -1.5


def test_how_the_sound_is_cut_makes_no_difference() -> None:
    wave = torch.randn(2, 3 * RATE, generator=torch.Generator().manual_seed(0)) * 0.1
    whole = moved_whole(wave, 1)
    pieces = torch.cat(list(moved(iter(wave.split([1, 20_000, 3, 46_146], -1)), RATE, 1)), -1)
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", [1, 500, 8000])
def test_short_sounds_come_out_as_short(length: int) -> None:
    assert moved_whole(torch.ones(1, length) * 0.1, 2).shape == (1, length)


def test_files_keep_length_rate_and_channels(tmp_path: Path) -> None:
    source = write(Audio(torch.stack([tone(440, 1.3), tone(330, 1.3)]), RATE), tmp_path / "song.wav")
    told: list[float] = []
    shifted(source, tmp_path / "moved.wav", -2, told.append)
    result = read(tmp_path / "moved.wav")
    assert result.samples.shape == (2, round(1.3 * RATE)) and result.rate == RATE
    assert told[-1] == 1.0
    assert not np.allclose(result.samples, read(source).samples, atol=0.01)


def test_no_interval_is_no_change_and_too_large_a_one_is_refused(tmp_path: Path) -> None:
    source = write(Audio(tone(440, 0.1)[None], RATE), tmp_path / "song.wav", bits=32)
    shifted(source, tmp_path / "same.wav", 0)
    assert torch.equal(read(tmp_path / "same.wav").samples, read(source).samples)
    with pytest.raises(BadOption, match="from -24 to 24"):
        shifted(source, tmp_path / "far.wav", 25)


def test_without_pedalboard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pedalboard", None)
    with pytest.raises(MissingExtra, match=r"mynah\[cover\]"):
        moved_whole(torch.zeros(1, 100), 1.25)
