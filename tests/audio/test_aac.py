import math
from pathlib import Path

import pytest
import torch

from mynah.audio.files import Info, Writer, probe, read, write
from mynah.core.errors import BadOption, NoSpace
from mynah.core.types import Audio


def sweep(time: int, rate: int = 44_100, channels: int = 2) -> Audio:
    t = torch.arange(time, dtype=torch.float64) / rate
    wave = (0.5 * torch.sin(2 * math.pi * (200 * t + 900 * t.square()))).float()
    return Audio(torch.stack([wave / (channel + 1) for channel in range(channels)]), rate)


@pytest.mark.parametrize("time", [1, 1023, 1024, 30_000])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 6), (96_000, 2)])
def test_length_and_place_are_kept_to_the_sample(tmp_path: Path, time: int, rate: int, channels: int) -> None:
    sound = sweep(time, rate, channels)
    path = write(sound, tmp_path / "sound.m4a")
    assert probe(path) == Info(time / rate, rate, channels, "mp4")
    back = read(path).samples
    assert back.shape == sound.samples.shape
    heard = [channel for channel in range(channels) if channel != 3]  # the fourth of six is for the lowest notes alone
    if time == 30_000:
        error = (back - sound.samples)[heard, :-64]
        assert error.square().mean() < 1e-3 * sound.samples[heard].square().mean()


def test_a_click_stays_where_it_was(tmp_path: Path) -> None:
    clicks = torch.zeros(2, 44_100)
    clicks[:, 5000::9876] = 0.9
    back = read(write(Audio(clicks, 44_100), tmp_path / "clicks.m4a")).samples
    for at in range(5000, 44_100, 9876):
        near = back[0, at - 2000 : at + 2000].abs()
        assert near.argmax() == 2000


def test_a_writer_writes_the_same_bytes(tmp_path: Path) -> None:
    sound = sweep(30_000)
    whole = write(sound, tmp_path / "whole.m4a")
    with Writer(tmp_path / "pieces.m4a", 44_100, 2) as writer:
        for part in sound.samples.split(7001, -1):
            writer.push(Audio(part, 44_100))
    assert (tmp_path / "pieces.m4a").read_bytes() == whole.read_bytes()


def test_rates_between_are_resampled(tmp_path: Path) -> None:
    assert probe(write(sweep(10_000, 40_000), tmp_path / "sound.m4a")) == Info(0.25, 44_100, 2, "mp4")


def test_what_it_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="at most 6 channels"):
        write(sweep(100, channels=7), tmp_path / "sound.m4a")
    with pytest.raises(BadOption, match="bits"):
        write(sweep(100), tmp_path / "sound.m4a", bits=24)


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    noise = Audio(0.3 * torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0)), 44_100)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(NoSpace):
            write(noise, tmp_path / "sound.m4a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
