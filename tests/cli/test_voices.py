"""`mynah enrol` and `mynah voices`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynah.audio.files import probe

Run = Callable[..., Any]


def listed(run: Run) -> dict[str, dict[str, Any]]:
    return {voice["name"]: voice for voice in run("voices", "--json").json["voices"]}


def test_a_voice_is_named_after_its_recording_and_kept(run: Run, ann: str) -> None:
    voice = listed(run)[ann]
    assert voice["kind"] == "enrolled"
    assert voice["range_hz"][0] == pytest.approx(220, rel=0.03)
    assert ann in run("voices").out
    assert "A3" in run("voices", "list").out


def test_enrolling_tells_what_was_heard(run: Run, ears: None, sung: Callable[..., Path], tmp_path: Path) -> None:
    recording = sung(tmp_path / "bo.flac", hz=110.0, seconds=5.0)
    told = run("enrol", recording, "--name", "Bo", "--license", "CC0-1.0", "--attribution", "Bo himself", "--json").json
    assert told["name"] == "Bo"
    assert told["range_hz"][1] == pytest.approx(110, rel=0.03)
    assert told["seconds"] == pytest.approx(5, abs=0.5)
    shown = run("voices", "show", "Bo")
    assert "CC0-1.0" in shown.out
    assert "Bo himself" in shown.out


def test_a_voice_is_not_replaced_by_accident(run: Run, ann: str, tmp_path: Path) -> None:
    refused = run("enrol", tmp_path / "ann.wav")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert run("enrol", tmp_path / "ann.wav", "--force").code == 0


def test_several_recordings_need_a_name(run: Run, tmp_path: Path, sung: Callable[..., Path]) -> None:
    one, two = sung(tmp_path / "one.wav"), sung(tmp_path / "two.wav")
    refused = run("enrol", one, two)
    assert refused.code == 2
    assert "--name" in refused.err


def test_too_little_sound_is_a_mistake_and_leaves_nothing(run: Run, ears: None, song: Path) -> None:
    assert run("enrol", song).code == 2
    assert "song" not in listed(run)


def test_a_player_finds_the_recordings(run: Run, ann: str) -> None:
    path = Path(run("voices", "play-path", ann).out.strip())
    assert probe(path).seconds > 4
    assert run("voices", "play-path", ann, "--json").json["path"] == str(path)


def test_a_voice_goes_to_another_library_and_back(run: Run, ann: str, tmp_path: Path) -> None:
    [file] = run("voices", "export", ann, "--out", tmp_path / "parcel").out.splitlines()
    before = listed(run)[ann]
    assert run("voices", "import", file).code == 2  # the name is taken
    assert run("voices", "remove", ann).code == 0
    assert ann not in listed(run)
    assert run("voices", "import", file).code == 0
    assert listed(run)[ann] == before
    assert run("voices", "import", file, "--name", "twin").code == 0
    assert {ann, "twin"} <= listed(run).keys()


def test_an_export_lands_here_when_nobody_says_where(
    run: Run, ann: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("voices", "export", ann).code == 0
    assert (tmp_path / "ann.mynah").exists()


def test_a_mixture_can_be_kept(run: Run, ann: str, tmp_path: Path, sung: Callable[..., Path]) -> None:
    run("enrol", sung(tmp_path / "bo.wav", hz=110.0, seconds=5.0))
    assert run("voices", "mix", "ann:0.5,bo:0.5", "--name", "duo").code == 0
    duo = listed(run)["duo"]
    assert duo["kind"] == "mixture"
    assert duo["range_hz"][0] == pytest.approx(220 / 2**0.5, rel=0.05)
    assert run("voices", "mix", "ann:0.5,bo:0.5", "--name", "duo").code == 2
    assert run("voices", "mix", "ann:1", "bo:3", "--name", "duo", "--force").code == 0


def test_removing_is_all_or_nothing(run: Run, ann: str) -> None:
    assert run("voices", "remove", ann, "nobody").code == 2
    assert ann in listed(run)


@pytest.mark.parametrize("deed", ["show", "play-path", "export", "remove"])
def test_an_unknown_voice_is_one_line(run: Run, deed: str) -> None:
    done = run("voices", deed, "nobody")
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert "nobody" in done.err


def test_an_enrolled_voice_converts(run: Run, ann: str, song: Path) -> None:
    assert run("convert", song, "--voice", ann, "--system", "hum").code == 0
    assert probe(song.with_name("song-ann.wav")).seconds == 0.5
