"""Steps that are kept: nothing is done twice, nothing half-made is ever seen, and not too much is kept."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from mynah.audio.files import read
from mynah.catalog.weights import sha256
from mynah.core.errors import BadOption, NoSpace
from mynah.core.types import Audio, Voice
from mynah.scenes.cover import Cover, shelf

Covered = Callable[..., Cover]

CHILD = """
import functools, importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("stage", sys.argv[1])
stage = importlib.util.module_from_spec(spec)
sys.modules["stage"] = stage
spec.loader.exec_module(stage)
from mynah.convert.hum import Hum
stage.registry._plugins = lambda: {stage.CENTRE: stage.Point("centre:Centre", stage.Centre)}
convert = Hum.convert

@functools.wraps(convert)
def slow(self, *arguments, **settings):
    print("converting", flush=True)
    time.sleep(float(sys.argv[4]))
    return convert(self, *arguments, **settings)

Hum.convert = slow
ann = stage.Voice("ann", range_hz=(150.0, 330.0))
stage.cover(sys.argv[2], ann, sys.argv[3], separator="centre", converter="hum", **stage.BARE)
"""


def kept(result: Cover) -> list[str]:
    return [step.name for step in result.steps if step.kept]


def fresh(result: Cover) -> list[str]:
    return [step.name for step in result.steps if not step.kept]


@contextmanager
def started(song: Path, out: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A cover in a process of its own, whose converter takes its time; it has come so far when the block begins."""
    stage = Path(__file__).parent / "conftest.py"
    command = [sys.executable, "-c", CHILD, str(stage), str(song), str(out), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "converting\n"
            yield process
        finally:
            process.kill()


def test_nothing_is_done_twice(song: Path, covered: Covered) -> None:
    first, second = covered(song), covered(song, out="again.wav")
    assert kept(first) == []
    assert fresh(second) == ["write"]
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_change_makes_only_what_depends_on_it_anew(song: Path, covered: Covered) -> None:
    covered(song)
    assert fresh(covered(song, vocal_db=3.0)) == ["mix", "master", "write"]
    assert fresh(covered(song, lufs=-20.0)) == ["master", "write"]
    assert fresh(covered(song, Voice("bo", range_hz=(75.0, 160.0))))[:2] == ["transpose", "convert"]
    assert fresh(covered(song, transpose=0.0))[0] == "transpose"
    assert "separate" not in fresh(covered(song, convert={}, transpose=2.0))


def test_a_name_is_not_what_makes_a_voice(song: Path, covered: Covered) -> None:
    covered(song, Voice("ann", range_hz=(150.0, 330.0)))
    assert fresh(covered(song, Voice("anna", range_hz=(150.0, 330.0)))) == ["write"]


def test_equal_content_stops_the_work(song: Path, covered: Covered, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(covered(song).stems["melody"].read_bytes())
    assert fresh(covered(song, replace={"melody": copy})) == ["write"]


def test_a_song_is_known_by_its_content(song: Path, covered: Covered, tmp_path: Path) -> None:
    covered(song)
    moved = song.rename(tmp_path / "renamed.wav")
    assert fresh(covered(moved)) == ["write"]


def test_a_kept_file_that_somebody_changed_is_made_again(song: Path, covered: Covered) -> None:
    stems = covered(song).stems
    whole = stems["vocals"].read_bytes()
    with stems["vocals"].open("r+b") as file:
        file.seek(1000)
        file.write(b"oops")
    again = covered(song)
    assert "separate" in fresh(again)
    assert again.stems["vocals"].read_bytes() == whole
    os.truncate(stems["vocals"], 5000)
    assert "separate" in fresh(covered(song))
    stems["vocals"].touch()
    assert "separate" in kept(covered(song))


def test_a_full_disk_leaves_what_was_finished_and_nothing_half(
    song: Path, covered: Covered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sound = covered(song, work=tmp_path / "other").path.read_bytes()
    (tmp_path / "out.wav").unlink()
    with monkeypatch.context() as patched:

        def full(*arguments: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patched.setattr("mynah.audio.encoding.forget_clock", full)  # the last thing that is done to a stem
        with pytest.raises(NoSpace, match="no space left"):
            covered(song)
    folder = tmp_path / "home" / "covers" / sha256(song)[:16]
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "out.wav").exists()
    with monkeypatch.context() as patched:
        patched.setattr("mynah.scenes.cover.mixdown.gain", full)  # in the middle of mixing
        with pytest.raises(NoSpace):
            covered(song)
    again = covered(song)
    assert fresh(again) == ["mix", "master", "write"]
    assert again.path.read_bytes() == sound


def test_a_run_that_was_killed_goes_on_where_it_was(song: Path, covered: Covered, tmp_path: Path) -> None:
    with started(song, tmp_path / "killed.wav", 60.0) as process:
        process.send_signal(signal.SIGKILL)
    folder = tmp_path / "home" / "covers" / sha256(song)[:16]
    assert len(list(folder.glob(".making-*"))) == 1
    result = covered(song)
    assert kept(result) == ["separate", "pitch", "transpose"]
    assert not list(folder.glob(".making-*"))
    assert result.path.read_bytes() == covered(song, work=tmp_path / "other").path.read_bytes()
    assert not (tmp_path / "killed.wav").exists()


def test_a_second_cover_of_a_song_waits_for_the_first_and_uses_what_it_made(
    song: Path, covered: Covered, tmp_path: Path
) -> None:
    said: list[str] = []
    with started(song, tmp_path / "first.wav", 0.5) as first:
        second = covered(song, progress=lambda step, fraction: said.append(step))
        assert first.wait() == 0
    assert "waiting" in said[0]
    assert fresh(second) == ["write"]
    assert second.path.read_bytes() == (tmp_path / "first.wav").read_bytes()


def test_covers_in_threads_do_not_meet(song: Path, covered: Covered, tmp_path: Path) -> None:
    voices = [Voice(name, range_hz=(low, 2.2 * low)) for name, low in (("bo", 75.0), ("ann", 150.0), ("cy", 300.0))]
    with ThreadPoolExecutor(3) as pool:
        covers = pool.map(lambda voice: covered(song, voice, out=f"{voice.name}.wav"), voices)
        made = dict(zip(["bo", "ann", "cy"], covers, strict=True))
    assert sum("separate" in fresh(cover) for cover in made.values()) == 1
    for voice in voices:
        alone = covered(song, voice, out="alone.wav", work=tmp_path / "alone")
        assert made[voice.name].path.read_bytes() == alone.path.read_bytes()


def test_what_was_used_longest_ago_is_dropped(
    covered: Covered, song_of: Callable[..., Audio], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "home" / "covers"
    old, recent = covered(song_of(1.0), out="old.wav"), covered(song_of(0.9), out="recent.wav")
    for step in old.stems.values():
        os.utime(step.parent, (time.time() - 60, time.time() - 60))
    size = sum(file.stat().st_size for file in place.rglob("*.wav"))
    monkeypatch.setenv(shelf.VARIABLE, str((size + 300_000) / 1e9))
    covered(song_of(0.8), out="newest.wav")
    assert not all(path.exists() for path in old.stems.values())
    assert all(path.exists() for path in recent.stems.values())
    assert sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) <= size + 300_000
    monkeypatch.setenv(shelf.VARIABLE, "0")
    result = covered(song_of(0.8), out=None)
    assert result.audio.seconds == pytest.approx(0.8)  # held, though nothing may be kept
    assert not list(place.rglob("*.wav"))


def test_a_song_that_is_worked_on_is_not_dropped(song: Path, covered: Covered, tmp_path: Path) -> None:
    stems = covered(song).stems
    place = tmp_path / "home" / "covers"
    with FileLock(place / f"{sha256(song)[:16]}.lock"):
        assert shelf.bound(place, 0) == 0
        assert shelf.forget(place) == 0
    assert all(path.exists() for path in stems.values())
    assert shelf.forget(place, sha256(song)) > 0
    assert not any(path.exists() for path in stems.values())


def test_forgetting_leaves_what_is_not_ours(song: Path, covered: Covered, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "0123456789abcdef" / "take-1" / "take.wav"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(song.read_bytes())
    covered(song, work=tmp_path / "mine")
    assert shelf.forget(tmp_path / "mine") > 0
    assert shelf.bound(tmp_path / "mine", 0) == 0
    assert list((tmp_path / "mine").rglob("*.wav")) == [mine]


@pytest.mark.parametrize("wrong", ["much", "-1", "nan"])
def test_a_bound_that_is_none_is_refused(
    song: Path, covered: Covered, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv(shelf.VARIABLE, wrong)
    with pytest.raises(BadOption, match=shelf.VARIABLE):
        covered(song)


def test_progress_goes_through_the_steps_in_order(song: Path, covered: Covered) -> None:
    said: list[tuple[str, float]] = []
    result = covered(song, progress=lambda step, fraction: said.append((step, fraction)))
    assert list(dict.fromkeys(step for step, _ in said)) == [step.name for step in result.steps]
    for step in result.steps:
        fractions = [fraction for name, fraction in said if name == step.name]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0


def test_ctrl_c_leaves_nothing_half(song: Path, covered: Covered, tmp_path: Path) -> None:
    def stop(step: str, fraction: float) -> None:
        if step == "convert":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        covered(song, progress=stop)
    folder = tmp_path / "home" / "covers" / sha256(song)[:16]
    assert sorted(entry.name.partition("-")[0] for entry in folder.iterdir()) == ["pitch", "separate", "transpose"]
    assert read(covered(song).path).seconds == 1.0
