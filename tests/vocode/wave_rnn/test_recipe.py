"""What WaveRNN learns: a sine, and the way from a folder to a model that can be loaded."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from mynah.audio.files import write
from mynah.core.types import Audio
from mynah.features.mel import MelFormat
from mynah.nets import logistics
from mynah.nets.heads import Mol, Raw
from mynah.train.data import prepare, scan
from mynah.train.run import train
from mynah.train.sounds import Sounds
from mynah.vocode.wave_rnn import WaveRnn
from mynah.vocode.wave_rnn.net import VOICE_CLONING, Config
from mynah.vocode.wave_rnn.recipe import WaveRecipe, course

EIGHTH = {"units": 64, "hidden": 64, "channels": 16, "aside": 16, "blocks": 2}
SLOW = MelFormat(4000, 64, 16, 64, 16, 0.0, None, centred=True, preemphasis=0.97, epsilon=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("recordings")
    t = torch.arange(48_000) / 16_000
    for number in range(3):
        write(Audio(0.5 * torch.sin(math.tau * 200 * t + number)[None], 16_000), place / f"{number}.wav")
    return place


def recipe(folder: Path, cache: Path, classes: int = 512) -> WaveRecipe:
    sounds = Sounds(prepare(scan(folder), cache).takes, SLOW.rate, peak=0.9)
    return WaveRecipe(sounds, Config(SLOW, (4, 4), classes, **EIGHTH), steps=80, clips=8, learns=1e-2)


@pytest.mark.parametrize("head", [Raw(9), Raw(10), Mol()])
def test_sound_survives_the_grid(head: Raw | Mol) -> None:
    sound = torch.linspace(-1, 1, 1001)
    written = head.written(sound)
    assert (head.read(written) - sound).abs().max() < 0.03
    assert head.written(head.read(written)).equal(written) or isinstance(head, Mol)


def test_the_likelihood_of_mixtures_is_one_over_all_samples() -> None:
    said = torch.tensor([[0.3, -1.0, 0.1, 0.5, -2.0, -3.0]])
    grid = torch.linspace(-1, 1, 256)
    chances = (-logistics.surprise(said.expand(256, -1), grid, levels=256)).exp()
    assert chances.sum().item() == pytest.approx(1, abs=1e-3)


def test_samples_of_a_mixture_lie_where_it_says() -> None:
    said = torch.tensor([5.0, -5.0, 0.4, -0.9, -4.0, -4.0]).expand(4000, -1)
    luck = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0))
    drawn = logistics.drawn(said, luck[:, 1:], luck[:, 0])
    assert drawn.median().item() == pytest.approx(0.4, abs=0.01)
    assert drawn.std().item() == pytest.approx(math.exp(-4) * math.pi / math.sqrt(3), rel=0.2)


def test_it_learns_a_sine(folder: Path, tmp_path: Path) -> None:
    learner = recipe(folder, tmp_path / "prepared")
    train(learner, tmp_path, device="cpu", save_every=1000)
    with torch.no_grad():
        surprises = [learner.surprise(learner.batch(10_000 + number)["wave"]).item() for number in range(5)]
    assert sum(surprises) / 5 < 0.5 * math.log(512)


def test_a_step_teaches_a_mixture(folder: Path, tmp_path: Path) -> None:
    learner = recipe(folder, tmp_path / "prepared", classes=30)
    wave = learner.batch(0)["wave"]
    before = learner.surprise(wave)
    optimizer = torch.optim.Adam(learner.parameters("net"), 1e-3)
    for _ in range(10):
        optimizer.zero_grad()
        learner.surprise(wave).backward()
        optimizer.step()
    assert learner.surprise(wave) < before - 0.3


def test_a_window_is_seen_as_the_whole_recording_would_be(folder: Path, tmp_path: Path) -> None:
    """Spectra of a window are those of the recording, so that nothing is learnt from edges that are none."""
    learner = recipe(folder, tmp_path / "prepared")
    format: MelFormat = learner.config.format
    take = learner.sounds.training[0]
    whole = learner.sounds.wave(take)
    begin, margin = 20 * format.hop, learner._margin
    window = whole[begin : begin + learner._samples]
    seen = format(window[None])[0, :, margin : -margin - 1]
    there = format(whole[None])[0, :, 20 + margin : 20 + margin + seen.shape[-1]]
    torch.testing.assert_close(seen, there, atol=1e-3, rtol=0)


def test_from_a_folder_to_a_model_and_on(folder: Path, tmp_path: Path) -> None:
    config = Config(VOICE_CLONING, (5, 5, 8), **EIGHTH)
    [stage] = course(folder, tmp_path, config=config).values()
    learner = stage()
    assert isinstance(learner, WaveRecipe)
    assert learner.batch(3)["wave"].equal(learner.batch(3)["wave"])
    assert not learner.batch(3)["wave"].equal(learner.batch(4)["wave"])
    [file] = learner.export(str(tmp_path))
    loaded = WaveRnn.load(file)
    assert loaded.config == config
    [again] = course(folder, tmp_path, start=file).values()
    on = again()
    assert isinstance(on, WaveRecipe)
    assert on.net.fc3.weight.equal(loaded.net.fc3.weight)
