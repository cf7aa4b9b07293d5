"""What vocoders learn from: loudness, rates, windows and what is held out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator

from mynah.audio.files import read, write
from mynah.train.data import Take, prepare, scan
from mynah.train.sounds import Sounds
from tests.test_house import note


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("recordings")
    for number in range(3):
        write(note(150 + 50 * number, 0.6 + 0.4 * number, 44_100), place / f"{number}.wav")
    return place


@pytest.fixture(scope="module")
def takes(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Take, ...]:
    return prepare(scan(folder), tmp_path_factory.mktemp("prepared")).takes


def test_any_rate_is_that_of_the_recording(takes: tuple[Take, ...]) -> None:
    sounds = Sounds(takes, 22_050)
    for take in takes:
        wave, there = sounds.wave(take), read(take.clip.path, rate=22_050, mono=True).samples[0]
        assert len(wave) == sounds.length(take) == take.frames * 441
        torch.testing.assert_close(wave, there[: len(wave)], atol=2e-4, rtol=0)


def test_every_recording_is_made_as_loud_as_wanted(takes: tuple[Take, ...]) -> None:
    loud = Sounds(takes, 16_000, peak=0.9)
    for take in takes:
        assert loud.wave(take).abs().max().item() == pytest.approx(0.9, abs=1e-3)
    plain = Sounds(takes, 16_000).wave(takes[0])
    assert plain.equal(takes[0].wave(16_000))


def test_windows_are_decided_by_the_dice(takes: tuple[Take, ...]) -> None:
    sounds = Sounds(takes, 16_000)
    drawn = [sounds.draw(Generator().manual_seed(seed), 5, 2000) for seed in (1, 1, 2)]
    assert drawn[0].shape == (5, 2000)
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    whole = sounds.wave(takes[1])
    window = sounds.window(takes[1], Generator().manual_seed(3), 2000)
    places = whole.unfold(0, 2000, 1)
    assert (places == window).all(-1).any()


def test_what_is_shorter_than_a_window_is_followed_by_silence(takes: tuple[Take, ...]) -> None:
    window = Sounds(takes, 16_000).window(takes[0], Generator().manual_seed(0), 50_000)
    assert window.shape == (50_000,)
    assert window[-1000:].abs().max() == 0
    assert window[:1000].abs().max() > 0


def test_what_is_held_out_is_not_learnt_from(folder: Path, takes: tuple[Take, ...]) -> None:
    sounds = Sounds(takes, 16_000, root=folder, hold_out=["1.*"])
    assert [take.clip.path.name for take in sounds.held_out] == ["1.wav"]
    assert [take.clip.path.name for take in sounds.training] == ["0.wav", "2.wav"]
    assert not Sounds(takes, 16_000).held_out
