from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.audio.files import write
from mynah.core.errors import BadData
from mynah.core.types import Audio
from mynah.train import data
from mynah.train.data import Clip, prepare, scan


def voice(hz: float, seconds: float = 1.0, rate: int = 44_100) -> Audio:
    """A buzz with the harmonics of a voice, in two channels."""
    t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    wave = sum((torch.sin(2 * torch.pi * hz * k * t) / k for k in range(1, 20)), torch.zeros_like(t)).float() * 0.1
    return Audio(torch.stack([wave, wave]), rate)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    for name, hz in (("ann/a.wav", 220.0), ("ann/takes/b.flac", 250.0), ("bob/c.ogg", 110.0)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(voice(hz), folder / name)
    return folder


def names(clips: list[Clip]) -> list[tuple[str, str]]:
    return [(clip.path.name, clip.speaker) for clip in clips]


def test_each_folder_is_a_singer(recordings: Path) -> None:
    (recordings / "bob" / "notes.txt").write_text("not to be heard")
    (recordings / "bob" / "._c.ogg").write_bytes(b"what a Mac leaves behind")
    assert names(scan(recordings)) == [("a.wav", "ann"), ("b.flac", "ann"), ("c.ogg", "bob")]


def test_a_flat_folder_is_one_singer(recordings: Path) -> None:
    assert names(scan(recordings / "bob")) == [("c.ogg", "bob")]


def test_a_manifest_decides(recordings: Path) -> None:
    (recordings / "manifest.csv").write_text("path,kind,speaker,seconds\nann/a.wav,singing,Änne,1.0\n", "utf-8")
    assert scan(recordings) == [Clip(recordings / "ann" / "a.wav", "Änne", "singing")]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [(b"file,speaker\na.wav,ann\n", "column 'path'"), (b"\xff\xfe\x00", "UTF-8"), (b"path\n", "no recordings")],
)
def test_a_manifest_that_lists_nothing_is_told(recordings: Path, manifest: bytes, message: str) -> None:
    (recordings / "manifest.csv").write_bytes(manifest)
    with pytest.raises(BadData, match=message):
        scan(recordings)


def test_a_folder_without_recordings_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no recordings"):
        scan(tmp_path)
    with pytest.raises(BadData, match="no folder"):
        scan(tmp_path / "nowhere")


def test_a_take_has_the_sound_and_the_pitch_of_its_recording(recordings: Path, tmp_path: Path) -> None:
    takes = prepare(scan(recordings), tmp_path / "cache").takes
    for take, hz in zip(takes, (220.0, 250.0, 110.0), strict=True):
        assert take.frames == 50 and take.seconds == 1.0
        for rate in (32_000, 16_000):
            wave = take.wave(rate)
            assert wave.shape == (rate,) and wave.dtype == torch.float32
            assert torch.fft.rfft(wave).abs().argmax() == hz
            assert wave.abs().max() == pytest.approx(voice(hz).samples.abs().max().item(), rel=0.15)
        pitch = take.pitch()
        assert pitch.shape == (100,)
        assert pitch.nanmedian().item() == pytest.approx(hz, rel=0.02)
    assert torch.equal(takes[0].wave(16_000, 10, 5), takes[0].wave(16_000)[3200:4800])
    assert same(takes[0].pitch(10, 5), takes[0].pitch()[20:30])
    assert len(takes[0].wave(32_000, 48, 20)) == 2 * 640  # no further than its end


def same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num()) and torch.equal(one.isnan(), other.isnan())


def test_what_is_done_is_not_done_again(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(scan(recordings), tmp_path / "cache")
    # Under another name it is still the same recording.
    (recordings / "bob" / "c.ogg").rename(recordings / "ann" / "z.ogg")
    monkeypatch.setattr(data, "read", None)
    second = prepare(scan(recordings), tmp_path / "cache")
    assert [take.folder for take in second.takes] == [take.folder for take in first.takes]
    assert second.takes[2].clip.speaker == "ann"


def test_what_was_half_done_is_done_again(recordings: Path, tmp_path: Path) -> None:
    [take, *_] = prepare(scan(recordings), tmp_path / "cache").takes
    whole = take.wave(32_000)
    (take.folder / "facts.json").unlink()
    (take.folder / "32000.i16").write_bytes(b"half")
    [take, *_] = prepare(scan(recordings), tmp_path / "cache").takes
    assert torch.equal(take.wave(32_000), whole)


def test_bad_recordings_are_left_out_and_accounted_for(recordings: Path, tmp_path: Path) -> None:
    (recordings / "no_audio.wav").write_text("I am a letter")
    write(Audio(torch.zeros(1, 16_000), 16_000), recordings / "silence.wav")
    write(voice(200, seconds=0.2), recordings / "blip.wav")
    write(voice(200), recordings / "whole.wav")
    (recordings / "cut.wav").write_bytes((recordings / "whole.wav").read_bytes()[:120_000])
    clips = [*scan(recordings), Clip(recordings / "gone.wav", "ann")]
    prepared = prepare(clips, tmp_path / "cache")
    assert {path.name for path in prepared.skipped} == {"no_audio.wav", "silence.wav", "blip.wav", "gone.wav"}
    assert "silent" in prepared.skipped[recordings / "silence.wav"]
    assert "shorter" in prepared.skipped[recordings / "blip.wav"]
    assert [take.clip.path.name for take in prepared.takes] == ["a.wav", "b.flac", "c.ogg", "cut.wav", "whole.wav"]
    assert prepared.takes[3].seconds < prepared.takes[4].seconds


def test_nothing_usable_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="none of 1 recordings"):
        prepare([Clip(tmp_path / "gone.wav", "ann")], tmp_path / "cache")


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for place in range(data.FEW + 1):
        write(voice(150 + 10 * place, seconds=0.5, rate=16_000), folder / f"{place:02}.wav")
    (folder / "99.wav").write_text("I am a letter")
    fractions: list[float] = []
    two = prepare(scan(folder), tmp_path / "two", progress=fractions.append)
    one = prepare(scan(folder), tmp_path / "one", workers=1)
    assert fractions == sorted(fractions) and fractions[-1] == 1 and len(fractions) == data.FEW + 2
    assert list(two.skipped) == list(one.skipped) == [folder / "99.wav"]
    for ours, theirs in zip(two.takes, one.takes, strict=True):
        assert ours.clip == theirs.clip and ours.bandwidth_hz == theirs.bandwidth_hz
        assert torch.equal(ours.wave(32_000), theirs.wave(32_000)) and same(ours.pitch(), theirs.pitch())
