"""`mynah transcribe`, with a Whisper of made-up weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import mynah
from mynah.cli.main import main
from mynah.core.types import Audio
from mynah.transcribe.whisper import Whisper, WhisperOptions


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Whisper, "load", classmethod(lambda cls, weights="default", *, device="cpu": cls.tiny()))


@pytest.fixture
def song(tmp_path: Path) -> Path:
    t = torch.arange(16_000) / 16_000
    return mynah.write(Audio(0.2 * torch.sin(2 * torch.pi * 220 * t)[None], 16_000), tmp_path / "song.wav")


def test_a_file_beside_the_song(song: Path) -> None:
    assert main(["transcribe", str(song), "--to", "json", "--words", "--language", "de"]) == 0
    told = json.loads(song.with_suffix(".json").read_text("utf-8"))
    expected = Whisper.tiny().transcribe(mynah.read(song), WhisperOptions(language="de", words=True))
    assert (told["text"], told["language"], len(told["lines"])) == (expected.text, "de", len(expected.lines))
    assert main(["transcribe", str(song), "--to", "json"]) == 2  # it is there


def test_one_that_cannot_be_read_does_not_stop_the_others(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (song.parent / "broken.wav").write_bytes(b"no sound")
    assert main(["transcribe", str(song.parent), "--to", "srt"]) == 2
    assert song.with_suffix(".srt").exists()
    assert not (song.parent / "broken.srt").exists()
    assert "1 of 2 recordings were not transcribed" in capsys.readouterr().err


def test_one_alone_is_printed(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", str(song), "--separate", "--translate"]) == 0
    assert main(["transcribe", str(song), "--language", "tlh"]) == 2
    assert "know no 'tlh'" in capsys.readouterr().err
    assert sorted(song.parent.iterdir()) == [song]


def test_places_that_make_no_sense(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", str(song), "--to", "srt", "--out", str(song.with_name("a.vtt"))]) == 2
    assert main(["transcribe", str(song), str(song), "--to", "srt"]) == 2
    said = capsys.readouterr().err
    assert "contradict" in said and "would both become" in said
