"""Comments of ogg files: whatever is said, not a sample and not a page of the sound changes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from mynah.audio.disk import Disk
from mynah.audio.files import probe, read, write
from mynah.audio.ogg import recommented
from mynah.core.errors import BadAudio
from mynah.core.types import Audio


def said(path: Path, comments: list[tuple[str, str]]) -> bytes:
    out = io.BytesIO()
    with path.open("rb") as file:
        recommented(file, Disk(out), comments)
    return out.getvalue()


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
@pytest.mark.parametrize("samples", [1, 1000, 16_000, 16_001, 130_003])
def test_the_sound_stays_to_the_sample(tmp_path: Path, suffix: str, samples: int) -> None:
    # Of a note that begins in silence, the last packet lies wholly beyond the end.
    wave = torch.sin(torch.arange(samples) * 0.09)[None].repeat(2, 1)
    path = write(Audio(0.2 * wave, 16_000), tmp_path / f"song.{suffix}")
    before, length = read(path).samples, probe(path).seconds
    path.write_bytes(said(path, [("title", "A"), ("comment", "synthetic")]))
    assert read(path).samples.equal(before)
    assert probe(path).seconds == length


def test_comments_longer_than_a_page_are_read_back(tmp_path: Path) -> None:
    import av

    path = write(Audio(torch.rand(1, 8000) / 2, 16_000), tmp_path / "song.ogg")
    for length in (254, 255, 256, 65_025, 300_000):  # about the length of a segment and of a page, and beyond
        path.write_bytes(said(path, [("title", "x" * length), ("artist", "Ann")]))
        with av.open(str(path)) as file:
            assert file.streams[0].metadata["title"] == "x" * length
            assert file.streams[0].metadata["artist"] == "Ann"
        assert read(path).samples.shape == (1, 8000)
    assert len(said(path, [])) < 50_000  # nothing of the old comments is left


def test_saying_the_same_twice_changes_nothing(tmp_path: Path) -> None:
    path = write(Audio(torch.rand(1, 8000) / 2, 16_000), tmp_path / "song.opus")
    path.write_bytes(said(path, [("title", "A")]))
    assert said(path, [("title", "A")]) == path.read_bytes()


def test_what_is_no_ogg_is_refused(tmp_path: Path) -> None:
    path = write(Audio(torch.rand(1, 8000) / 2, 16_000), tmp_path / "song.ogg")
    for wrong in (b"", b"OggS", b"la la la" * 100, path.read_bytes()[:200]):
        (tmp_path / "wrong.ogg").write_bytes(wrong)
        with pytest.raises(BadAudio):
            said(tmp_path / "wrong.ogg", [])
