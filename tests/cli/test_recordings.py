"""Which recordings, and where to."""

from __future__ import annotations

from pathlib import Path

import pytest

from mynah.cli.recordings import PIPE, folders, planned
from mynah.core.errors import BadAudio, BadOption


def places(*inputs: str, voice: str = "me", out: str | None = None, format: str | None = None) -> list[str]:
    return [Path(job.out).as_posix() for job in planned(inputs, voice, out, format)]


def test_a_place_with_a_suffix_is_a_file_and_one_without_a_folder(tmp_path: Path) -> None:
    assert places("song.mp3", out="new.flac") == ["new.flac"]
    assert places("song.mp3", out="new") == ["new/song-me.wav"]
    assert places("song.mp3", out="new.d/") == ["new.d/song-me.wav"]
    (tmp_path / "dotted.folder").mkdir()
    assert places("song.mp3", out=str(tmp_path / "dotted.folder")) == [
        f"{tmp_path.as_posix()}/dotted.folder/song-me.wav"
    ]


def test_no_voice_can_lead_out_of_the_folder() -> None:
    assert places("song.wav", voice="../../etc/passwd") == ["song-..-..-etc-passwd.wav"]
    assert places("song.wav", voice="ann:0.7,bo:0.3") == ["song-ann-0.7-bo-0.3.wav"]
    assert places("song.wav", voice="日本") == ["song-日本.wav"]
    assert places("song.wav", voice="***") == ["song-voice.wav"]


def test_pipes() -> None:
    assert places("-") == [PIPE]
    assert places("song.wav", out="-") == [PIPE]
    assert places("-", out="me.flac") == ["me.flac"]
    assert places("-", out="folder/") == ["folder/me.wav"]
    for wrong in (("-", "song.wav"), ("a.wav", "b.wav")):
        with pytest.raises(BadOption, match="pipe"):
            places(*wrong, out="-")
    with pytest.raises(BadOption, match="wav"):
        places("-", format="mp3")


def test_a_folder_named_by_a_dot_has_results_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "one.wav").touch()
    monkeypatch.chdir(tmp_path / "album")
    assert places(".") == [(tmp_path / "album-me" / "one-me.wav").as_posix()]


def test_a_folder_without_recordings_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(BadAudio, match="no recordings"):
        places(str(tmp_path))


def test_a_recording_named_twice_is_a_mistake() -> None:
    with pytest.raises(BadOption, match="both become"):
        places("song.wav", "./song.wav")
    with pytest.raises(BadOption, match="both become"):
        places("song.wav", "song.mp3")


def test_folders_for_what_becomes_several_files(tmp_path: Path) -> None:
    def places(*inputs: str, out: str | None = None) -> list[str]:
        return [Path(job.out).as_posix() for job in folders(inputs, "stems", out)]

    assert places("songs/one.mp3") == ["songs/one-stems"]
    assert places("songs/one.mp3", out="parts") == ["parts"]
    assert places("songs/one.mp3", "two.wav", out="parts") == ["parts/one-stems", "parts/two-stems"]
    (tmp_path / "album" / "deep").mkdir(parents=True)
    (tmp_path / "album" / "deep" / "one.wav").touch()
    assert places(str(tmp_path / "album")) == [f"{tmp_path.as_posix()}/album-stems/deep/one-stems"]
    for wrong in (("-",), ("one.wav", "-")):
        with pytest.raises(BadOption, match="pipe"):
            places(*wrong)
    with pytest.raises(BadOption, match="both become"):
        places("one.wav", "one.mp3")
