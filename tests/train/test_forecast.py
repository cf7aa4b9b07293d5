"""Hundreds of hours, before any work is begun on them; and what would cost the square of them."""

from __future__ import annotations

import os
import shutil
import struct
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mynah.audio.files import write
from mynah.core.errors import BadData, NoSpace
from mynah.core.types import Audio
from mynah.train import twice
from mynah.train.data import Clip, Take, prepare, scan
from mynah.train.forecast import BYTES_PER_RECORDING, BYTES_PER_SECOND, forecast
from mynah.train.report import report
from mynah.train.twice import duplicates
from mynah.train.workers import AHEAD, spread


def hour(path: Path, hours: int = 1, rate: int = 16_000) -> Path:
    """A wav of an hour that takes no room on the disk: its header is true, and the rest is a hole."""
    size = 2 * rate * 3600 * hours
    head = (
        b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + b"data" + struct.pack("<I", size))
    os.truncate(path, size + 44)
    return path


def test_a_singer_of_five_hundred_hours_is_reckoned_by_headers_alone(tmp_path: Path) -> None:
    for number in range(250):
        hour(tmp_path / "data" / "ann" / f"{number}.wav", hours=2)
    expected = forecast(scan(tmp_path / "data"), tmp_path / "out", each=6400)
    assert (expected.recordings, expected.hours) == (250, 500)
    assert expected.need == 500 * 3600 * (BYTES_PER_SECOND + 6400) + 250 * BYTES_PER_RECORDING
    assert "250 recordings, 500.0 hours: 185.0 GB" in str(expected)
    assert not (tmp_path / "out").exists()


def test_what_no_memory_would_hold_is_told_before_it_is_read(tmp_path: Path) -> None:
    endless = hour(tmp_path / "data" / "ann" / "endless.wav", hours=4)
    clips = scan(tmp_path / "data")
    with pytest.raises(BadData, match=r"1 recordings are longer than 3 hours, such as .*endless\.wav"):
        forecast(clips, tmp_path / "out").check()
    write(Audio(0.1 * torch.ones(1, 16_000), 16_000), endless.with_name("short.wav"))
    prepared = prepare(scan(tmp_path / "data"), tmp_path / "cache")
    assert prepared.skipped[endless].endswith("is 4.0 hours long: cut it into recordings of at most 3 hours")
    assert len(prepared.takes) == 1


def test_what_does_not_fit_is_refused_and_what_is_there_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour(tmp_path / "data" / "ann" / "long.wav")
    usage: Callable[..., object] = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**8))
    clips, out = scan(tmp_path / "data"), tmp_path / "out"
    with pytest.raises(NoSpace, match=r"1\.0 hours of recordings need 347\.1 MB more .* 100\.0 MB are free"):
        forecast(clips, out).check()
    out.mkdir()
    (out / "32000.i16").touch()
    os.truncate(out / "32000.i16", 260_000_000)
    forecast(clips, out).check()
    usage_of_a_full_disk = usage(10**9, 10**9, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage_of_a_full_disk)
    short = write(Audio(0.1 * torch.randn(1, 32_000), 16_000), tmp_path / "short" / "ann" / "a.wav")
    clips = scan(short.parent.parent)
    with pytest.raises(NoSpace):
        forecast(clips, tmp_path / "other").check()
    report(clips, prepare(clips, tmp_path / "other"), workers=1)
    forecast(clips, tmp_path / "other").check()  # what is done needs no more room


def test_one_file_under_many_names_counts_once_and_what_is_no_recording_not_at_all(tmp_path: Path) -> None:
    first = write(Audio(torch.zeros(1, 8000), 8000), tmp_path / "data" / "ann" / "0.wav")
    for number in range(1, 5):
        os.link(first, first.with_name(f"{number}.wav"))
    first.with_name("letter.wav").write_text("dear")
    clips = [*scan(tmp_path / "data"), Clip(tmp_path / "gone.wav", "ann")]
    expected = forecast(clips, tmp_path / "out")
    assert (expected.recordings, expected.seconds) == (1, 1.0)


def takes(tmp_path: Path, lengths: list[int], contents: list[int]) -> list[Take]:
    clips = [Clip(tmp_path / f"{place:05}.wav", "ann") for place in range(len(lengths))]
    made = zip(clips, lengths, contents, strict=True)
    return [Take(clip, tmp_path / str(content), frames, 16_000.0) for clip, frames, content in made]


def test_thousands_of_copies_are_told_once_each_and_are_not_compared_in_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, looked = 3000, []

    def same(one: Take, other: Take) -> bool:
        looked.append((one, other))
        return True

    monkeypatch.setattr(twice, "_same_melody", same)
    outlines, notes = F.normalize(torch.ones(count, 64)), torch.ones(count, 73)
    equal = takes(tmp_path, count * [500], count * [0])  # one content under many names
    found = duplicates(equal, outlines, notes)
    assert found == [(equal[0], take) for take in equal[1:]] and not looked
    alike = takes(tmp_path, count * [500], list(range(count)))  # the same sound, each time another file
    found = duplicates(alike, outlines, notes)
    assert found == [(alike[0], take) for take in alike[1:]]
    assert len(looked) == count - 1


def test_only_what_is_as_long_and_has_the_same_notes_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    monkeypatch.setattr(twice, "_same_melody", lambda one, other: looked.append((one.frames, other.frames)))
    notes = torch.zeros(5, 73)
    for place, note in enumerate((40, 41, 50, 40, 40)):
        notes[place, note] = 100
    outlines = F.normalize(torch.ones(5, 64))
    assert duplicates(takes(tmp_path, [500, 509, 500, 530, 540], [0, 1, 2, 3, 4]), outlines, notes) == []
    assert looked == [(500, 509), (530, 540)]


def test_no_pair_is_missed_because_cells_were_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = torch.Generator().manual_seed(0)
    looked = set()
    monkeypatch.setattr(twice, "_same_melody", lambda one, other: looked.add((one.clip.path, other.clip.path)))
    first = torch.randn(200, 64, generator=dice).cumsum(1)
    rough = torch.cat([first, first + 0.6 * torch.randn(200, 64, generator=dice)])
    outlines = F.normalize(rough - rough.mean(1, keepdim=True))
    lengths = torch.randint(400, 440, (400,), generator=dice)
    made = takes(tmp_path, lengths.tolist(), list(range(400)))
    duplicates(made, outlines, torch.ones(400, 73))
    alike = (outlines @ outlines.T > 0.98) & ((lengths[:, None] - lengths).abs() <= twice.SLACK)
    wanted = {(made[one].clip.path, made[other].clip.path) for one, other in alike.nonzero().tolist() if one < other}
    assert looked == wanted and len(wanted) > 30


def test_work_is_given_out_as_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(spread(abs, [-1, 2, -3], 1, 0)) == [1, 2, 3]
    drawn = []

    class Things(list[int]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for thing in super().__iter__():
                drawn.append(thing)
                yield thing

    results = spread(abs, Things(range(-200, 0)), 2, 8)
    assert next(results) == 200
    assert len(drawn) <= 2 * AHEAD + 1
    assert list(results) == list(range(199, 0, -1))
