"""What people really have in their folders: told before training begins, and nothing lost."""

from __future__ import annotations

import errno
import json
import math
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from mynah.audio.files import write
from mynah.cli.main import main
from mynah.convert.whisper_vits_svc import WhisperVitsSvc, losses
from mynah.convert.whisper_vits_svc.recipe import course, ears_by, heard
from mynah.convert.whisper_vits_svc.recipe import songs as songs_module
from mynah.convert.whisper_vits_svc.recipe.light import LightCritics
from mynah.convert.whisper_vits_svc.recipe.songs import Songs
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig
from mynah.core.atomic import replacing
from mynah.core.errors import BadData, NoSpace
from mynah.core.types import Audio
from mynah.train import data as preparing
from tests.convert.whisper_vits_svc.test_recipe import TINY, projections
from tests.train.test_forecast import hour

NAMES = ("Zoë Ångström", 'the "Duke"', "it's me; rm -rf", "歌手")


def song(path: Path, seconds: float = 11.0, rate: int = 32_000, level: float = 0.2, hz: float = 200.0) -> Path:
    time = torch.arange(int(seconds * rate)) / rate
    turns = hz * time + 3 * torch.sin(math.tau * 0.5 * time)
    wave = sum(torch.sin(math.tau * k * turns) / k for k in range(1, 9))
    assert isinstance(wave, torch.Tensor)
    return write(Audio(level * wave[None], rate), path)


def listened(data: Path, run: Path) -> Songs:
    return heard(data, run, projections())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    song(tmp_path / "data" / "ann" / "good.wav")
    return tmp_path / "data"


def test_a_singer_of_three_seconds_stops_it_with_the_name(data: Path, tmp_path: Path) -> None:
    song(data / "bo" / "short.wav", seconds=3.0, hz=300.0)
    with pytest.raises(BadData, match=r"bo: 3\.0 s of singing"):
        listened(data, tmp_path / "run")


def test_a_singer_of_silence_stops_it_and_silence_among_songs_does_not(data: Path, tmp_path: Path) -> None:
    song(data / "ann" / "silent.wav", level=0.0)
    assert {part.take.clip.path.name for part in listened(data, tmp_path / "run").training} == {"good.wav"}
    song(data / "bo" / "silent.wav", level=0.0)
    with pytest.raises(BadData, match="bo"):
        listened(data, tmp_path / "run")
    with pytest.raises(BadData, match=r"none of 1 recordings can be used, such as .*is silent"):
        listened(song(tmp_path / "quiet" / "bo" / "x.wav", level=0.0).parent.parent, tmp_path / "run")


def test_a_singer_of_five_hundred_hours_is_reckoned_and_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(250):
        hour(tmp_path / "data" / "ann" / f"{number}.wav", hours=2)
    usage: Callable[..., object] = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**11))
    assert main(["prepare", str(tmp_path / "data"), "--for", "whisper_vits_svc", "--out", str(tmp_path / "run")]) != 0
    told = capsys.readouterr().err
    assert "250 recordings, 500.0 hours" in told and "hours of work" in told
    assert "500.0 hours of recordings need 185.0 GB more" in told and "100.0 GB are free" in told
    assert not (tmp_path / "run").exists()
    with pytest.raises(NoSpace, match=r"500\.0 hours"):  # whoever trains without preparing is told as well
        listened(tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    # Whisper's features alone take more than the sound.
    assert WhisperVitsSvc.keeps(ears=["published"]) == 2 * 50 * (1280 + 256)


def test_rates_may_be_mixed(data: Path, tmp_path: Path) -> None:
    for number, rate in enumerate((8_000, 22_050, 48_000, 96_000)):
        song(data / "ann" / f"{rate}.wav", seconds=3.0, rate=rate, hz=150.0 + 40 * number)
    songs = listened(data, tmp_path / "run")
    assert len({part.take.clip.path for part in songs.training}) == 5
    batch = songs.collate(songs.training)
    assert batch["wave"].isfinite().all() and batch["words"].isfinite().all()


def test_names_may_be_anything(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        song(tmp_path / "da'ta" / name / f"{name} – 1.wav", hz=150.0 + 40 * number)
    songs = listened(tmp_path / "da'ta", tmp_path / "run")
    assert set(songs.singers) == set(NAMES)
    lists = (tmp_path / "run" / "train.csv").read_text("utf-8")
    assert all(name.replace('"', '""') in lists for name in NAMES)


def test_a_file_that_vanishes_half_way_is_only_missed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = song(data / "ann" / "lost.wav", seconds=3.0, hz=260.0)
    prepared = preparing._prepared

    def vanishing(path: Path, cache: Path) -> object:
        lost.unlink(missing_ok=True)
        return prepared(path, cache)

    monkeypatch.setattr(preparing, "_prepared", vanishing)
    songs = listened(data, tmp_path / "run")
    assert {part.take.clip.path.name for part in songs.training} == {"good.wav"}


def test_a_recording_that_goes_after_it_was_prepared_is_still_learnt_from(data: Path, tmp_path: Path) -> None:
    songs = listened(data, tmp_path / "run")
    before = songs.collate(songs.training)["wave"]
    (data / "ann" / "good.wav").unlink()
    assert songs.collate(songs.training)["wave"].equal(before)


def test_a_full_disk_is_told_and_what_was_heard_stays(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song(data / "ann" / "next.wav", seconds=4.0, hz=260.0)
    room = [2]  # content and voice of the first one, and no more

    @contextmanager
    def disk(path: Path) -> Iterator[Path]:
        with replacing(path) as half:
            if not room[0]:
                raise OSError(errno.ENOSPC, "no space left")
            room[0] -= 1
            yield half

    monkeypatch.setattr(songs_module, "replacing", disk)
    with pytest.raises(NoSpace, match="full"):
        listened(data, tmp_path / "run")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert {path.name for path in kept if path.name.startswith(("words-", "voice-"))} == {"words-24", "voice-12"}
    assert not any(path.name.startswith(".") for path in kept if path.suffix != ".lock")
    room[0] = 99
    assert len(listened(data, tmp_path / "run").training) == 2
    assert room[0] == 99 - 4  # the other two, and the lists
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_small_net_with_narrow_critics_learns_with_the_ears_of_the_house(data: Path, tmp_path: Path) -> None:
    recipe = course(data, tmp_path / "run", projections, config=TINY)["sing"]()
    assert any(isinstance(net, LightCritics) for net in recipe.nets.modules())
    assert recipe.steps == 20_000


def test_the_command_prepares_with_ears_by_choice_and_does_nothing_twice(
    ears: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["prepare", str(data), "--for", "whisper_vits_svc", "--out", str(out), "--ears", "whisper=tiny"]
    assert main(command) == 0
    assert "--ears whisper=tiny" in capsys.readouterr().err
    kept = {path: path.stat().st_mtime_ns for path in (out / "prepared").rglob("*") if path.is_file()}
    sizes = {path.name.rpartition("-")[2] for path in kept if path.name.startswith(("content-", "voice-"))}
    assert sizes == {"640", "256"}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert json.loads((out / "report.json").read_text("utf-8"))["singers"][0]["name"] == "ann"
    (ears / "hubert-soft.pt").unlink()
    capsys.readouterr()
    assert main([*command[:4], "--out", str(tmp_path / "new"), *command[6:]]) == 2
    assert "hubert-soft" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()  # told before the long work began
    assert ears_by(["house"]).sounds == 0


def test_samples_above_one_do_not_stop_training() -> None:
    loud = 3 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    assert loud.abs().max() > 1
    assert losses.log_mel(loud, DecoderConfig()).isfinite().all()
    assert losses.linear(loud, 320).isfinite().all()
    assert losses.stft_loss(loud, loud.flip(1)).isfinite()
