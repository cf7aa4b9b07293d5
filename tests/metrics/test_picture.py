from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from mynah.core.errors import BadAudio, BadOption, MissingExtra
from mynah.core.types import Audio, Contour
from mynah.metrics.picture import side_by_side, spectrogram


def tone(hz: float, seconds: float = 1.0, rate: int = 16_000) -> Audio:
    t = torch.arange(int(seconds * rate)) / rate
    return Audio(0.2 * torch.sin(2 * torch.pi * hz * t)[None], rate)


def held(hz: float, frames: int = 100) -> Contour:
    return Contour(torch.full((frames,), hz), 0.01, "Hz")


@pytest.mark.parametrize("hz", [200.0, 1000.0, 5000.0])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_tone_lies_in_its_row(hz: float, rate: int) -> None:
    level_db, seconds, edges = spectrogram(tone(hz, rate=rate), 8000)
    row = int(level_db.mean(1).argmax())
    assert edges[row] - 22 < hz < edges[row + 1] + 22  # a bin of the transform is 22 Hz wide at most
    assert level_db.max().item() == pytest.approx(0, abs=1e-4)
    assert level_db.shape == (len(edges) - 1, len(seconds) - 1)
    assert seconds[-1].item() == pytest.approx(1, abs=0.1)


def test_silence_can_be_drawn() -> None:
    level_db, _, _ = spectrogram(Audio(torch.zeros(1, 100), 8000), 4000)
    assert level_db.isfinite().all()


def test_a_picture_is_drawn_twice_alike(tmp_path: Path) -> None:
    pictures = [
        side_by_side(tone(220), tone(440, rate=44_100), tmp_path / name, melodies=(held(220), held(440)))
        for name in ("a.png", "b.png")
    ]
    first, second = (picture.read_bytes() for picture in pictures)
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_melodies_are_tracked_and_long_recordings_cut(tmp_path: Path) -> None:
    unvoiced = Audio(torch.zeros(2, 16_000), 16_000)
    assert side_by_side(tone(220, 3.0), unvoiced, tmp_path / "a.png", seconds=1.0).stat().st_size > 10_000


def test_bad_wishes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadOption, match=r"\.png, \.svg, \.pdf"):
        side_by_side(tone(220), tone(220), tmp_path / "a.docx")
    with pytest.raises(BadAudio, match="empty"):
        side_by_side(Audio(torch.zeros(1, 0), 16_000), tone(220), tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"mynah\[pictures\]"):
        side_by_side(tone(220), tone(220), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
