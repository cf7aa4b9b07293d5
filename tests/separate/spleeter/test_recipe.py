"""Spleeter's training: it learns, measures on what it did not learn from, and trains what there is material for."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.core.errors import BadData, BadOption
from mynah.core.recipe import Learns
from mynah.core.types import Audio, Voice
from mynah.metrics.stems import si_sdr
from mynah.separate.spleeter import VARIANTS, Config, Spleeter
from mynah.separate.spleeter.recipe import TwoStems
from mynah.train.mixtures import Mixtures


def song(folder: Path, seed: int, rate: int = 8000, seconds: int = 16) -> dict[str, Tensor]:
    """A whistle with vibrato, and a bass with drums."""
    dice = np.random.default_rng(seed)
    time = np.arange(rate * seconds) / rate
    notes = np.repeat(dice.uniform(400, 900, 2 * seconds), rate // 2) * (1 + 0.02 * np.sin(2 * np.pi * 5 * time))
    phase = 2 * np.pi * np.cumsum(notes) / rate
    vocals = 0.1 * (np.sin(phase) + 0.5 * np.sin(2 * phase))
    bass = 2 * np.pi * np.cumsum(np.repeat(dice.uniform(60, 150, seconds), rate)) / rate
    hits = np.exp(-(time % 0.25) * 40) * dice.standard_normal(len(time))
    smooth = np.convolve(hits, np.hanning(6) / np.hanning(6).sum(), "same")
    stems = {"vocals": vocals, "accompaniment": 0.15 * np.sin(bass) + 0.3 * smooth}
    folder.mkdir(parents=True)
    for name, wave in stems.items():
        both = np.stack([wave, 0.8 * wave], 1).astype(np.float32)
        soundfile.write(folder / f"{name}.wav", both, rate, "FLOAT")
        stems[name] = torch.from_numpy(both.T.copy())
    return stems  # type: ignore[return-value]


def test_it_learns(tmp_path: Path) -> None:
    for seed in range(3):
        song(tmp_path / "data" / f"song{seed}", seed)
    config = Config(filters=(2, 4, 8, 16, 32, 64), window=256, bins=64, block=64)
    mixtures = Mixtures(tmp_path / "data", tmp_path / "cache", config.stems, rate=8000)
    recipe = TwoStems(config, mixtures, learns=3e-3)
    optimizer = torch.optim.AdamW(recipe.parameters("net"), lr=recipe.learns, eps=1e-8, **recipe.optimizer("net"))
    assert recipe.batch(3)["mix"].equal(recipe.batch(3)["mix"])
    course = []
    recipe.nets.train()
    for step in range(120):
        loss = torch.stack(list(recipe.losses("net", recipe.batch(step)).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        course.append(loss.item())
    assert np.mean(course[-20:]) < 0.5 * np.mean(course[:5])
    assert recipe.preview(recipe.batch(0)).samples.isfinite().all()

    [file] = recipe.export(str(tmp_path))
    state = Spleeter.load(file).nets.state_dict()
    system = Spleeter(config)
    system.rate = 8000
    load_strict(system.nets, state, file)
    truth = song(tmp_path / "unseen", 77)
    mix = truth["vocals"] + truth["accompaniment"]
    stems = system.separate(Audio(mix, 8000))
    for name in config.stems:
        assert si_sdr(truth[name], stems[name].samples) - si_sdr(truth[name], mix) > 5.0, name


def test_stages_are_the_sets_that_there_are_recordings_for(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(BadData):
        Spleeter.course(tmp_path / "none", tmp_path)
    for names, stages in (
        (("vocals", "other"), ["2stems"]),
        (("drums", "bass"), ["2stems", "4stems"]),
        (("piano",), ["2stems", "4stems", "5stems"]),
    ):
        for name in names:
            (data / "song").mkdir(parents=True, exist_ok=True)
            soundfile.write(data / "song" / f"{name}.wav", np.full((44_100, 2), 0.1), 44_100)
        course = Spleeter.course(data, tmp_path / "work")
        assert list(course) == stages
    recipe = course["5stems"]()
    assert recipe.nets.keys() == set(VARIANTS[5].stems)
    assert [recipe.name for recipe in (course["2stems"](), recipe)] == ["2stems", "5stems"]


def test_what_is_held_out_is_measured_and_not_learnt(tmp_path: Path) -> None:
    for number, name in enumerate(("learnt", "kept")):
        song(tmp_path / "data" / name, number, rate=44_100, seconds=2)
    recipe = Spleeter.course(tmp_path / "data", tmp_path / "work", hold_out=["kept"])["2stems"]()
    assert isinstance(recipe, TwoStems)
    assert len(recipe.mixtures.songs) == 1
    measures = recipe.measures()
    assert list(measures) == ["vocals gain dB", "accompaniment gain dB"]
    # Nets that have learnt nothing give everybody about half of everything below 11 kHz.
    assert all(-10 < gain < 3 for gain in measures.values())
    with pytest.raises(BadData):
        Spleeter.course(tmp_path / "data", tmp_path / "work", hold_out=["nobody"])["2stems"]()


def test_it_is_not_for_one_voice() -> None:
    assert issubclass(Spleeter, Learns)
    with pytest.raises(BadOption, match="--data"):
        Spleeter.tiny().adapt(Voice("me", (100.0, 200.0)))
