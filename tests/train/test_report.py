"""Reports on recordings that somebody wants to train on."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.audio.files import write
from mynah.core.errors import BadData
from mynah.core.types import Audio
from mynah.train.data import prepare, scan
from mynah.train.report import Report, Singer, draw, report
from mynah.train.survey import FACTS, facts_of


def melody(hz: float, seconds: float, rate: int = 32_000) -> Tensor:
    """Two notes a second, and between phrases of two seconds one of quiet."""
    time = torch.arange(int(rate * seconds)) / rate
    step = (2 * time).floor() % 5
    turns = (hz * 2 ** (step / 12) / rate).cumsum(0)
    wave = sum((torch.cos(math.tau * number * turns) / number for number in range(2, 12)), torch.cos(math.tau * turns))
    return 0.1 * wave * (time % 3 < 2)


def hissing(wave: Tensor, level: float = 1e-4) -> Tensor:
    return wave + level * torch.randn(wave.shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Report:
    data = tmp_path_factory.mktemp("data")
    clean = hissing(melody(220, 12))
    write(Audio(clean[None], 32_000), data / "anna" / "clean.wav")
    write(Audio(clean[None], 32_000), data / "anna" / "clean.flac", bits=16)
    shutil.copy(data / "anna" / "clean.wav", data / "anna" / "copy.wav")
    loud = (12 * melody(110, 18, 44_100)).clamp(-0.9, 0.9)
    write(Audio(hissing(loud, 6e-2)[None].clamp(-0.9, 0.9), 44_100), data / "bért 'x'" / "harsh.wav")
    write(Audio(0.0 * clean[None], 32_000), data / "carl" / "nothing.wav")
    write(Audio(clean[None, : 32_000 * 2], 32_000), data / "dora" / "two seconds.wav")
    clips = scan(data)
    return report(clips, prepare(clips, tmp_path_factory.mktemp("cache"), workers=1), workers=1)


def singer(found: Report, name: str) -> Singer:
    return next(singer for singer in found.singers if singer.name == name)


def mended(found: Report, name: str) -> str:
    return "\n".join(line for line in found.mend if line.startswith(f"{name}:"))


def test_minutes_and_notes_are_counted(found: Report) -> None:
    anna = singer(found, "anna")
    assert anna.recordings == 3
    assert anna.minutes == pytest.approx(3 * 12 / 60, rel=0.01)
    assert anna.sung == pytest.approx(3 * 8.5 / 60, rel=0.1)
    low, high = anna.range_hz
    assert 1200 * abs(math.log2(low / 220)) <= 100
    assert 1200 * abs(math.log2(high / (220 * 2 ** (4 / 12)))) <= 100
    assert sum(anna.notes) == pytest.approx(3 * 8, rel=0.15)


def test_the_same_sound_is_found_in_another_format_and_under_another_name(found: Report) -> None:
    names = {tuple(sorted(Path(path).name for path in pair)) for pair in found.duplicates}
    assert ("clean.flac", "clean.wav") in names and ("clean.wav", "copy.wav") in names
    assert not any("harsh" in name for pair in names for name in pair)


def test_clipping_and_noise_are_told_of_whom_they_are(found: Report) -> None:
    assert singer(found, "anna").clipping == 0
    assert singer(found, "bért 'x'").clipping == 1
    assert "clip" in mended(found, "bért 'x'")
    assert singer(found, "anna").noise_db == pytest.approx(-83, abs=1)  # half of it below 8 kHz
    assert singer(found, "bért 'x'").distance_db < 30
    assert "quieter than the voice" in mended(found, "bért 'x'")
    assert "quieter" not in mended(found, "anna")
    assert singer(found, "bért 'x'").rates == (44_100,)


def test_whoever_cannot_be_learnt_stops_it_before_it_begins(found: Report) -> None:
    with pytest.raises(BadData) as caught:
        found.check()
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["carl", "dora"]
    assert "not one recording can be used" in lines[0] and "at least 10 s" in lines[1]


def test_a_report_is_json_whatever_it_holds(found: Report, tmp_path: Path) -> None:
    kept = json.loads(found.save(tmp_path / "report.json").read_text("utf-8"))
    assert [row["name"] for row in kept["singers"]] == ["anna", "bért 'x'", "carl", "dora"]
    assert kept["singers"][2]["noise_db"] is None


def test_it_can_be_drawn(found: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert draw(found, tmp_path / "report.png").stat().st_size > 5000


def test_reverb_is_heard(tmp_path: Path) -> None:
    dry = hissing(melody(220, 24), 1e-6)
    tail = torch.randn(32_000, generator=torch.Generator().manual_seed(2)) * torch.exp(
        -6.9 * torch.arange(32_000) / 32_000
    )
    size = len(dry) + len(tail)
    wet = torch.fft.irfft(torch.fft.rfft(dry, size) * torch.fft.rfft(0.01 * tail, size), size)[: len(dry)]
    write(Audio((dry + wet)[None], 32_000), tmp_path / "data" / "anna" / "hall.wav")
    clips = scan(tmp_path / "data")
    anna = report(clips, prepare(clips, tmp_path / "cache")).singers[0]
    assert anna.echoing == 1
    assert anna.decay_seconds == pytest.approx(1.0, rel=0.3)


def test_what_was_found_is_kept_and_a_file_that_vanished_is_only_missed(tmp_path: Path) -> None:
    for name, hz in (("a", 200), ("b", 300)):
        write(Audio(hissing(melody(hz, 4))[None], 32_000), tmp_path / "data" / "anna" / f"{name}.wav")
    clips = scan(tmp_path / "data")
    prepared = prepare(clips, tmp_path / "cache")
    first = facts_of(prepared.takes[0])
    (tmp_path / "data" / "anna" / "a.wav").unlink()
    (tmp_path / "data" / "anna" / "b.wav").unlink()
    assert (prepared.takes[0].folder / FACTS).exists()
    assert facts_of(prepared.takes[0]) == first
    found = report(clips, prepared)
    assert [singer.recordings for singer in found.singers] == [1]
    assert any("b.wav" in path for path in found.skipped)
